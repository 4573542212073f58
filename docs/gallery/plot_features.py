"""
Features of a word
==================

A recording is a line of 16,000 numbers a second. Networks learn better from *frames*: a few dozen numbers every 10 ms
that say how strong each band of frequencies is. This page shows one word as samples, and as four kinds of frames.
"""

# %%
# The word
# --------
#
# `aq.load` reads whatever libsndfile reads, as one channel of float32 samples at the rate you ask for.

import matplotlib.pyplot as plt
import numpy as np

import audioseq as aq
from audioseq.files import shipped

ASSETS = shipped("assets")
y, sr = aq.load(ASSETS / "commands" / "yes" / "us-hugo_nohash_0.flac", sr=16000)

fig, ax = plt.subplots(figsize=(8, 2.4), layout="constrained")
ax.plot(np.arange(len(y)) / sr, y, color="#1d4e89", linewidth=0.5)
ax.set(xlabel="seconds", ylabel="sample", title="“yes” as samples", xlim=(0, len(y) / sr))

# %%
# One sees where the word is loud: first the vowel, then the hiss of the “s”. Which vowel it was, one does not see.
#
# Frames
# ------
#
# A feature is a *description*: a frozen value that is called with samples and gives frames ``(time, features)``. All of
# these read windows of 30 ms, a new one every 10 ms.

windows = {"sr": sr, "n_fft": 512, "win_length": 480, "hop_length": 160}
mel = aq.Mel(**windows, n_mels=40)
log_mel = aq.LogMel(**windows, n_mels=40)
mfcc = aq.MFCC(**windows, n_mels=40, n_mfcc=13)
pcen = aq.Mel(**windows, n_mels=40, power=1.0) >> aq.PCEN()

pictures = {
    "Mel: power in 40 bands": mel(y),
    "LogMel: the same in decibels": log_mel(y),
    "MFCC: the shape of each frame's spectrum": mfcc(y)[:, 1:],
    "Mel >> PCEN: each band against its own recent level": pcen(y),
}
fig, axes = plt.subplots(4, 1, figsize=(8, 9), sharex=True, layout="constrained")
seconds = log_mel.times(log_mel(y))
for ax, (title, frames) in zip(axes, pictures.items(), strict=True):
    low, high = np.quantile(frames, [0.02, 0.998])
    extent = (seconds[0], seconds[-1], 0, frames.shape[1])
    image = ax.imshow(frames.T, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=high, cmap="magma")
    ax.set(title=title, ylabel="coefficient" if "MFCC" in title else "band")
    fig.colorbar(image, ax=ax, pad=0.01)
axes[-1].set_xlabel("seconds")

# %%
# From top to bottom:
#
# - **Mel** has nearly nothing but the loudest moments of the vowel: power spans many powers of ten.
# - **LogMel** shows everything. Between 0.23 and 0.4 s the two bright bands of the “y” glide towards each other into
#   the “e”; the “s” fills the upper bands. This is what the networks here learn from.
# - **MFCC** are the first cosine waves of each column above: 13 numbers in place of 40. The zeroth, the loudness, is
#   left out of the picture since it outweighs all others.
# - **PCEN** divides each band by what it was in the last 0.4 s. What lasts fades; what begins stands out. It helps
#   where rooms and microphones differ.
#
# The numbers are librosa's, and the same description is a Keras layer (``log_mel.layer()``) and a stream
# (``log_mel.stream()``); the next page shows the latter.
