"""
Streaming equals the whole
==========================

A microphone gives sound block by block. Features and classifiers here can be run on the blocks as they come, and give
what they would have given for the whole recording. This page cuts a recording into blocks at random places and
compares.
"""

# %%
# Running sound
# -------------
#
# Six words by one voice, one after another, over a little noise: 4 seconds.

import keras
import matplotlib.pyplot as plt
import numpy as np

import audioseq as aq
from audioseq import models
from audioseq.files import shipped

WORDS = shipped("assets") / "commands"
SR = 16000
rng = np.random.default_rng(0)
said = ["yes", "left", "stop", "go", "right", "no"]
y = np.concatenate([aq.load(WORDS / word / "rp-edward_nohash_0.flac", sr=SR)[0] for word in said])
y = (y + 0.002 * rng.standard_normal(len(y))).astype(np.float32)
cuts = np.sort(rng.choice(len(y), 25, replace=False))
blocks = np.split(y, cuts)
print(f"{len(y) / SR:.1f} s in {len(blocks)} blocks of {min(map(len, blocks))} to {max(map(len, blocks))} samples")

# %%
# Features
# --------
#
# ``feature.stream()`` is a function from a block and a state to frames and the next state. The state holds the samples
# that later frames still see, and nothing else is remembered.

feature = aq.LogMel(sr=SR, n_fft=512, win_length=480, hop_length=160, n_mels=40)
whole = feature(y)

stream = feature.stream()
state, parts = stream.initial_state(), []
for block in blocks:
    frames, state = stream(block, state)
    parts.append(frames)
parts.append(stream.finish(state))
streamed = np.concatenate(parts)

assert streamed.shape == whole.shape
assert np.abs(streamed - whole).max() < 1e-3
print(f"{len(whole)} frames; largest difference {np.abs(streamed - whole).max():.1e} dB")

fig, axes = plt.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
extent = (0, len(y) / SR, 0, 40)
for ax, frames, title in zip(axes, (whole, streamed), ("in one piece", "block by block"), strict=True):
    ax.imshow(frames.T, origin="lower", aspect="auto", extent=extent, vmin=-70, vmax=20, cmap="magma")
    ax.set(title=f"log-mel frames, {title}", ylabel="band")
for cut in cuts:
    axes[1].axvline(cut / SR, color="white", linewidth=0.8, alpha=0.7)
axes[1].set_xlabel("seconds")

# %%
# The white lines are where the sound was cut. No frame shows them: a window that a cut goes through waits for the
# samples behind it.
#
# A classifier
# ------------
#
# The same holds for a whole classifier. Here it is a `cnn_lstm` with the weights that it begins with, since for this
# question it does not matter what the weights are: it has to give the same scores either way.

keras.utils.set_random_seed(2)
names = (*said, "other")
classifier = aq.SequenceClassifier(feature, models.cnn_lstm(feature.n_features, len(names)), names)
step = classifier.streaming()
print(f"a score every {1000 * step.hop:.0f} ms, {1000 * step.latency:.0f} ms after the sound that it is about")


def scores_of(blocks):
    """Scores of a signal that comes in blocks."""
    state, parts = step.initial_state(), []
    for block in blocks:
        scores, state = step(block, state)
        parts.append(scores)
    return np.concatenate([*parts, step.finish(state)])


at_once, in_blocks = scores_of([y]), scores_of(blocks)
difference = np.abs(at_once - in_blocks).max()
assert difference < 1e-5
print(f"{len(at_once)} rows of scores; largest difference {difference:.1e}")

fig, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
times = step.times(len(at_once))
ax.plot(times, at_once[:, 0], color="#9aa5b1", linewidth=6, label="in one piece")
ax.plot(times, in_blocks[:, 0], color="#c2410c", linewidth=1.5, label="block by block")
ax.set(xlabel="seconds", ylabel=f"score of “{names[0]}”, untrained", title="The two curves lie on each other")
ax.legend(frameon=False)

# %%
# Of what the network computes, the causal convolutions carry the rows that their next output still sees; the LSTM
# behind them reads the last second afresh for each score. So nothing drifts, and an hour of sound ends as it began.
