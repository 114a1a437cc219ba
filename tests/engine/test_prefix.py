from greenlight.engine.pages import PagePool
from greenlight.engine.prefix import PrefixTree
from greenlight.ops.protocol import PAGE_SIZE

A, B, C = ([letter] * PAGE_SIZE for letter in (1, 2, 3))


def store(tree, pool, *parts):
    """Keep these pages as one sequence would, and let it end."""
    node, tokens = tree.root, [token for part in parts for token in part]
    pages = []
    while node.depth < len(parts):
        found = tree.find(node, tokens, len(tokens))
        if found is None:
            pages.append(tree.take_page())
            node = tree.add(node, tokens, [pages[-1]])
        else:
            node = found
            pool.hold(node.pages[0])
            pages.append(node.pages[0])
    for page in reversed(pages):
        pool.drop(page)
    return pages


def depth(tree, *parts, limit=10**6):
    node, tokens = tree.root, [token for part in parts for token in part]
    while (found := tree.find(node, tokens, min(limit, len(tokens)))) is not None:
        node = found
    return node.depth


def make(n_pages):
    pool = PagePool(n_pages)
    return PrefixTree(pool), pool


def test_full_pages_are_found_by_all_tokens_up_to_their_end():
    tree, pool = make(8)
    store(tree, pool, A, B, C)
    assert depth(tree, A, B, C) == 3
    assert depth(tree, A, B, A) == 2
    assert depth(tree, B, C) == 0
    assert depth(tree, A, B[:-1]) == 1


def test_a_page_that_ends_after_the_limit_is_not_found():
    tree, pool = make(8)
    store(tree, pool, A, B)
    assert depth(tree, A, B, limit=2 * PAGE_SIZE) == 2
    assert depth(tree, A, B, limit=2 * PAGE_SIZE - 1) == 1


def test_what_two_sequences_begin_with_is_kept_once():
    tree, pool = make(8)
    assert store(tree, pool, A, B)[0] == store(tree, pool, A, C)[0]
    assert len(tree) == 3


def test_the_least_recently_used_page_goes_first_and_always_a_last_one():
    tree, pool = make(4)
    store(tree, pool, A, B)
    store(tree, pool, A, C)
    store(tree, pool, B)
    store(tree, pool, A)  # used again: of its children neither was
    store(tree, pool, C)
    assert (depth(tree, A, B), depth(tree, A, C), depth(tree, B), depth(tree, C)) == (1, 2, 1, 1)
    assert tree.n_evicted == 1


def test_held_pages_are_never_taken():
    tree, pool = make(2)
    held = [tree.take_page(), tree.take_page()]
    tree.add(tree.root, A, [held[0]])
    assert tree.take_page() is None
    pool.drop(held[0])
    assert tree.take_page() == held[0]
    assert depth(tree, A) == 0


def test_a_tree_that_is_switched_off_keeps_nothing():
    pool = PagePool(2)
    tree = PrefixTree(pool, enabled=False)
    page = tree.take_page()
    assert tree.add(tree.root, A, [page]) is None
    pool.drop(page)
    assert pool.n_free == 2
