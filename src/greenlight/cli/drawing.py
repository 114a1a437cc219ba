"""What does a model's block look like in text? Its branches and norms, its attention, its feed-forward."""

from __future__ import annotations

from typing import Any


def block_lines(config: dict[str, Any]) -> list[str]:
    """A drawing of what every block does, and of what stands around the blocks."""
    placement = config["norm_placement"]
    mixing = "experts" if config["n_experts"] else "feed-forward"
    upper, lower = "    block        x", "                  "
    for name in ("attention", mixing):
        before = "" if placement == "post" else "norm ─ "
        after = "" if placement == "pre" else " ─ norm"
        branch = f"─ {before}{name}{after} ─"
        upper += f" ─┬{branch}(+)"
        lower += f"  └{'─' * (len(branch) + 1)}┘ "
    lines = [
        f"    model        embedding{_scaled(config)} ─ {config['n_layers']} blocks ─ norm ─ head"
        f"{' (the embedding again)' if config['tied_head'] else ''}{_capped(config['final_softcap'])}",
        f"{upper} ─ next",
        lower.rstrip(),
        f"    attention    {_attention(config)}",
    ]
    if windowed := _windows(config):
        lines.append(f"    layers       {windowed}")
    lines.append(f"    {mixing:<13}{_feed_forward(config)}")
    if config["per_layer_dim"]:
        lines.append(f"    inputs       {config['per_layer_dim']} values for each token and layer, let in by a gate")
    return lines


def _attention(config: dict[str, Any]) -> str:
    heads, kv_heads = config["n_heads"], config["n_kv_heads"]
    shared = "one each" if heads == kv_heads else f"{heads // kv_heads} to each"
    said = [f"{heads} query heads over {kv_heads} kv heads ({shared}), {config['head_dim']} wide"]
    if config["full_head_dim"]:
        full_kv_heads = config["full_n_kv_heads"] or kv_heads
        said.append(f"where all is seen over {full_kv_heads} kv heads, {config['full_head_dim']} wide")
    if config["n_shared_layers"]:
        said.append(f"the last {config['n_shared_layers']} layers read keys and values of layers before them")
    if config["qk_norm"]:
        said.append(f"queries and keys normed by {'head' if config['qk_norm'] == 'head' else 'projection'}")
    if config["sinks"]:
        said.append("a learned sink for each head")
    if config["attention_softcap"]:
        said.append(f"scores bent to ±{config['attention_softcap']:g}")
    return ", ".join(said)


def _windows(config: dict[str, Any]) -> str:
    windows = config["windows"]
    if not any(windows):
        return ""
    kinds = dict.fromkeys(windows)
    return ", ".join(
        f"{windows.count(kind)} see {'all positions' if kind is None else f'the newest {kind:,} positions'}"
        for kind in kinds
    )


def _feed_forward(config: dict[str, Any]) -> str:
    one = f"{config['dim']:,} → {config['ffn_dim']:,} → {config['dim']:,}, gated by {config['activation']}"
    if not config["n_experts"]:
        return one
    return f"{config['n_experts_used']} of {config['n_experts']} active for each token, each {one}"


def _scaled(config: dict[str, Any]) -> str:
    return "" if config["embedding_scale"] == 1 else f" × {config['embedding_scale']:.4g}"


def _capped(cap: float | None) -> str:
    return "" if cap is None else f" ─ logits bent to ±{cap:g}"
