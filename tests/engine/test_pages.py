import pytest

from greenlight.engine.pages import PagePool


def test_a_page_is_free_again_when_its_last_holder_drops_it():
    pool = PagePool(2)
    page = pool.take()
    pool.hold(page)
    pool.drop(page)
    assert pool.n_free == 1
    pool.drop(page)
    assert pool.n_free == 2


def test_an_empty_pool_gives_nothing():
    pool = PagePool(1)
    pool.take()
    assert pool.take() is None


def test_the_page_freed_last_is_taken_first():
    pool = PagePool(5)
    pages = [pool.take() for _ in range(3)]
    assert pages == [0, 1, 2]
    pool.drop(1)
    assert pool.take() == 1


def test_a_kept_page_outlives_its_holders_until_it_is_forgotten():
    pool = PagePool(2)
    first, second = pool.take(), pool.take()
    for page in (second, first):
        pool.keep(page)
        pool.drop(page)
    assert (pool.n_free, pool.n_available, pool.oldest_idle) == (0, 2, second)
    pool.hold(second)
    assert (pool.n_available, pool.oldest_idle) == (1, first)
    pool.drop(second)
    pool.forget(first)
    assert (pool.n_free, pool.n_available, pool.oldest_idle) == (1, 2, second)


@pytest.mark.parametrize("wrong", [PagePool.hold, PagePool.drop, PagePool.keep])
def test_a_free_page_is_nobodys(wrong):
    with pytest.raises(AssertionError):
        wrong(PagePool(1), 0)
