"""Figures of a step in words."""

from collections.abc import Mapping


def line_of(figures: Mapping[str, float]) -> str:
    """Losses, learning rate, speed and memory of a row of the log, as a person reads them."""
    parts = [f"loss {figures['loss']:.4f}" if "loss" in figures else "no finite loss"]
    parts += [f"{name.removeprefix('loss_')} {figures[name]:.4f}" for name in figures if name.startswith("loss_")]
    parts.append(f"lr {figures['lr']:.2e}")
    if "images_per_s" in figures:
        parts.append(f"{figures['images_per_s']:.4g} images/s")
        parts.append(f"waiting for data {figures['data_wait_ratio']:.0%}")
    if "memory_mib" in figures:
        parts.append(f"{figures['memory_mib'] / 2**10:.1f} GiB")
    return "  ".join(parts)


def shortened(indices: list[int], most: int = 16) -> str:
    """Numbers of samples, of many the first ones and how many they are."""
    text = ", ".join(str(index) for index in indices[:most])
    return f"{text}, ... ({len(indices)} in all)" if len(indices) > most else text
