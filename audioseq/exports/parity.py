"""The parity gate: an exported file beside the Keras model, on the same sounds, in the file's own runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioseq.exports import runtimes
from audioseq.exports.formats import SUFFIX, read_metadata, size_of, write_graph
from audioseq.exports.graphs import Graph

__all__ = ["Comparison", "ExportError", "ExportReport", "ParityError"]

TOLERANCE = 1e-4  # in float, by `_difference`
AGREEMENT = 0.99  # share of clips to which an int8 model gives the label of the float model, at least


class ExportError(RuntimeError):
    """An export that cannot be made here."""


class ParityError(ExportError):
    """An exported model that does not give the model's numbers. Nothing was written.

    Attributes:
        stage: the first stage that differs: ``"samples"``, ``"features"``, ``"state ..."``, ``"network"``,
            ``"scores"`` or ``"labels"``.
    """

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how near it is.

    Attributes:
        file: path of what was written.
        format, int8, streaming: as requested.
        size: in bytes.
        parity: difference to the Keras model, its transforms in 64 bits, by tensor: the largest of the probabilities,
            the relative root mean square of the states.
        agreement: share of clips or steps with the label of the Keras model.
        n: clips, steps or tokens compared.
        accuracy: of the Keras model and of the file, where labels were given.
        milliseconds: median and p99 of a clip or step on one core.
        memory_mb: memory that loading and running took, above the runtime's own.
        operations: how many, by kind.
        class_names, sr: from the file's metadata; of a composer names of its tokens, and no rate.
        block: samples of a step; None for clips, and for tokens.
    """

    file: str
    format: str
    int8: bool
    streaming: bool
    size: int
    parity: dict[str, float]
    agreement: float
    n: int
    accuracy: tuple[float, float] | None
    milliseconds: dict[str, float]
    memory_mb: float
    operations: dict[str, int]
    class_names: tuple[str, ...]
    sr: int | None
    block: int | None

    @property
    def unit(self) -> str:
        """What a call of the file reads, in words."""
        if self.sr is None:
            return "a token"
        return "a clip" if self.block is None else f"{1e3 * self.block / self.sr:g} ms"

    def __repr__(self) -> str:
        times = self.milliseconds
        accuracy = "" if self.accuracy is None else ", accuracy {:.1%}, now {:.1%}".format(*self.accuracy)
        return (
            f"ExportReport({self.file}: {self.size / 1e3:,.0f} kB\n"
            f"  within {max(self.parity.values()):.1e} of the Keras model, {self.agreement:.1%} of {self.n:,} labels "
            f"the same{accuracy}\n"
            f"  {times['median']:.2f} ms for {self.unit} (median), {times['p99']:.2f} ms (p99), one core)"
        )


@dataclass(frozen=True)
class Comparison:
    """The parity gate: a file beside the Keras model, on the same sounds."""

    graph: Graph
    file: Path
    kind: str
    int8: bool
    labels: np.ndarray | None

    def __call__(self, sounds: np.ndarray, work: Path) -> ExportReport:
        metadata = read_metadata(self.file, self.kind)
        if tuple(metadata["class_names"]) != self.graph.class_names or metadata["sr"] != self.graph.sr:
            raise ParityError("labels", f"the file names {metadata['class_names']} at {metadata['sr']} Hz")
        calls = self.graph.calls(sounds)
        outputs, facts = runtimes.run(self.file, self.kind, calls, carry=self.graph.carry, folder=work)
        expected = self.graph.expected(sounds)
        skip = self.graph.warm_up
        parity = {}
        for name, truth in expected.items():
            parity[name] = _difference(name, outputs[name][skip:].reshape(truth.shape), truth)
        scores = outputs["scores"][skip:].reshape(expected["scores"].shape)
        same = scores.argmax(-1) == expected["scores"].argmax(-1)
        accuracy = None
        if self.labels is not None and not self.graph.carry:
            n = len(self.labels)
            accuracy = tuple(float((s[:n].argmax(-1) == self.labels).mean()) for s in (expected["scores"], scores))
        if self.int8:
            judged = same[: len(same) - 8] if not self.graph.carry else same  # labels of synthetic sounds say nothing
            agreement = float(judged.mean())
            if agreement < AGREEMENT or (accuracy is not None and accuracy[1] < accuracy[0] - 0.01):
                what = "" if accuracy is None else f"; accuracy {accuracy[0]:.3f} became {accuracy[1]:.3f}"
                raise ParityError("network", f"in int8 {agreement:.1%} of {len(judged)} labels stayed{what}")
        else:
            agreement = float(same.mean())
            if not all(error <= TOLERANCE for error in parity.values()):  # NaN is none
                raise self._blame(sounds, parity, work)
        return ExportReport(
            file="",
            format=self.kind,
            int8=self.int8,
            streaming=bool(self.graph.carry),
            size=size_of(self.file),
            parity=parity,
            agreement=agreement,
            n=len(same),
            accuracy=accuracy,  # type: ignore[arg-type]
            milliseconds=facts["milliseconds"],
            memory_mb=facts["memory_mb"],
            operations=facts["operations"],
            class_names=tuple(metadata["class_names"]),
            sr=metadata["sr"],
            block=metadata.get("block"),
        )

    def _blame(self, sounds: np.ndarray, parity: Mapping[str, float], work: Path) -> ParityError:
        """The error with the first stage that differs: the graph is converted once more with its inner values."""
        probe = work / f"probe{SUFFIX[self.kind]}"
        write_graph(self.graph, probe, self.kind, self.int8, work=work, stages=True)
        calls = self.graph.calls(sounds)
        outputs, _ = runtimes.run(probe, self.kind, calls, carry=self.graph.carry, folder=work)
        for name, truth in self.graph.expected_stages(sounds).items():
            error = _difference(name, outputs[name][self.graph.warm_up :].reshape(truth.shape), truth)
            if not error <= TOLERANCE:
                return ParityError(_words(name), f"differ from the Keras model's by {error:.1e}")
        worst = max(parity, key=lambda name: parity[name])
        return ParityError(_words(worst), f"differ from the Keras model's by {parity[worst]:.1e}")


def _difference(name: str, got: np.ndarray, truth: np.ndarray) -> float:
    """Largest difference of probabilities; else root mean square of the difference, relative to that of `truth`.

    (Between two right FFTs single bands far under the peak of a pure tone differ by a hundredth of a decibel.)
    """
    if name == "scores":
        return float(np.abs(got - truth).max())
    return float(np.sqrt(np.mean((got - truth) ** 2) / max(np.mean(truth**2), 1e-12)))


def _words(name: str) -> str:
    return name.removesuffix("_next").replace("_", " ")
