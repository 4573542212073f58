"""
What SimpleRNN, LSTM and GRU remember
=====================================

A recurrent layer reads a sequence step by step and keeps a *state*. How far back does that state reach? This page
trains a SimpleRNN, an LSTM and a GRU of equal size on the bundled words, and measures it on a word that they did not
learn from.
"""

# %%
# Three networks
# --------------
#
# Each has about 13,000 weights and answers from its last state.

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import audioseq as aq
from audioseq.files import shipped
from audioseq.training import trainees

WORDS = shipped("assets") / "commands"
data = aq.word_folder(WORDS, unknown=["bed", "cat", "happy"])
feature = aq.LogMel(sr=data.sr, n_fft=512, win_length=480, hop_length=400, n_mels=40)
mean, variance = trainees.feature_statistics(feature, data.training)


def frames_of(clips):
    """Normalised frames of all clips, ``(clips, time, features)``."""
    return (feature(clips.float_samples(slice(None))) - mean) / np.sqrt(variance)


x, x_held_out = frames_of(data.training), frames_of(data.validation)
kinds = {"SimpleRNN": (layers.SimpleRNN, 96), "LSTM": (layers.LSTM, 42), "GRU": (layers.GRU, 50)}
rates = {"SimpleRNN": 1e-3, "LSTM": 1e-2, "GRU": 1e-2}
classifiers = {}
for name, (layer, units) in kinds.items():
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((None, 40)), layer(units, name="memory"), layers.Dense(len(data.class_names))]
    )
    network.compile(
        keras.optimizers.Adam(rates[name], global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    network.fit(x, data.training.labels, batch_size=32, epochs=15, verbose=0)
    accuracy = network.evaluate(x_held_out, data.validation.labels, verbose=0)[1]
    print(f"{name:10} {network.layers[0].count_params():6,} weights, {accuracy:.0%} of the held-out clips")
    classifiers[name] = aq.SequenceClassifier(feature, network, data.class_names, mean=mean, variance=variance)

# %%
# Gradient flow
# -------------
#
# How much does the memory at the end change when the memory some time earlier is changed a little? `aq.gradient_flow`
# gives the size of that derivative for every lag.

word = data.validation.float_samples(next(i for i, n in enumerate(data.validation.names) if n.startswith("down/")))
colours = dict(zip(kinds, ("#1d4e89", "#c2410c", "#4d7c0f"), strict=True))

fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for name, classifier in classifiers.items():
    flow = aq.gradient_flow(classifier, word)["memory"]
    ax.plot(np.arange(len(flow.norms)) * flow.seconds_per_step, flow.norms, color=colours[name], label=name)
ax.axhline(0.1, color="#9aa5b1", linestyle=":")
ax.set(yscale="log", ylim=(1e-3, 10), xlabel="lag, seconds", ylabel="norm of the derivative", title="Gradient flow")
ax.legend(frameon=False)

# %%
# Below the dotted line less than a tenth of a change is left, and training can hardly connect what lies further apart.
# In the SimpleRNN a change fades step by step. The gates of LSTM and GRU let it pass on, through the whole second.
#
# Memory share
# ------------
#
# The other way round: to which moments is the state at each moment owed? Row t of `aq.memory_share` adds up to 1, and
# says how much of the state at t comes from each step before it.

fig, axes = plt.subplots(1, 3, figsize=(9, 3.5), sharey=True, layout="constrained")
for ax, (name, classifier) in zip(axes, classifiers.items(), strict=True):
    share = aq.memory_share(classifier, word)
    end = len(share.share) * share.seconds_per_step
    ax.imshow(share.share, cmap="magma_r", vmin=0, vmax=0.3, extent=(0, end, end, 0))
    ax.set(title=name, xlabel="from the sound at, seconds")
axes[0].set_ylabel("the state at, seconds")

# %%
# Nothing lies above the diagonal, since no network here hears the future. In the SimpleRNN what came before is smeared:
# no moment stands out for long. LSTM and GRU have columns, moments that they keep: the first sound of “down”, at
# 0.37 s, is dark for the states long after it, while the silence before it is forgotten.
#
# The states themselves are in ``aq.hidden_states(classifier, word)``. All three functions take any Keras model with
# recurrent layers; `python recipes/memory.py` draws the long version of this page.
