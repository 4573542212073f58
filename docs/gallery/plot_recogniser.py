"""
A small recogniser
==================

Thirteen words by 41 synthetic voices become a classifier that is saved in one file: data, features, network, training,
and a picture of what it confuses. It takes some seconds; `python recipes/speech_commands.py` does the same with more
epochs, augmentation and a larger network.
"""

# %%
# Data
# ----
#
# Each folder is a word. No voice is on two sides of the split, so the accuracy below is that on voices the network
# never met. Three words are one class, ``_unknown_``; stretches of noise are another, ``_silence_``.

import tempfile

import keras
import matplotlib.pyplot as plt
import numpy as np

import audioseq as aq
from audioseq import models, training
from audioseq.files import shipped
from audioseq.speech.evaluation import evaluate_predictions
from audioseq.training import trainees

WORDS = shipped("assets") / "commands"
words = aq.word_folder(WORDS, unknown=["bed", "cat", "happy"])
print(f"{len(words.training)} clips for training, {len(words.validation)} for validation")

# %%
# Model and training
# ------------------
#
# 40 log-mel bands every 20 ms, normalised by the training clips' own mean and variance, and a GRU of 64 units whose
# last state answers.

keras.utils.set_random_seed(0)
feature = aq.LogMel(sr=words.sr, n_fft=512, win_length=480, hop_length=320, n_mels=40)
mean, variance = trainees.feature_statistics(feature, words.training)
network = models.gru(feature.n_features, len(words.class_names), units=64)
classifier = aq.SequenceClassifier(feature, network, words.class_names, mean=mean, variance=variance)

how = training.Settings(epochs=14, batch_size=16, learning_rate=6e-3)
with tempfile.TemporaryDirectory() as out:
    trainee = trainees.AugmentedClassifier(classifier)
    fitted = training.fit(trainee, words.training, words.validation, how, out=out, verbose=0)

epochs = [row["epoch"] + 1 for row in fitted.history]
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot(epochs, [100 * row["accuracy"] for row in fitted.history], color="#9aa5b1", label="training")
ax.plot(epochs, [100 * row["val_accuracy"] for row in fitted.history], color="#c2410c", label="validation")
ax.set(xlabel="epoch", ylabel="accuracy, %", xticks=epochs)
ax.legend(frameon=False)

# %%
# Both curves rise together: what is learnt from the training voices holds for the others. (The points of training are
# means over an epoch, in which the network still changed; those of validation come after it, from averaged weights.)
#
# What it confuses
# ----------------

clips = words.validation
scores = classifier.scores(clips.float_samples(slice(None)))
result = evaluate_predictions(clips.labels, scores, words.class_names, clips.names)
low, high = result.interval
print(f"{result.accuracy:.1%} of {result.n} clips; 95 % interval {low:.1%} to {high:.1%}")

counts = np.array(result.confusion)
fig, ax = plt.subplots(figsize=(6, 5.4), layout="constrained")
ax.imshow(counts / counts.sum(1, keepdims=True), cmap="YlOrBr", vmin=0, vmax=1)
for i, j in zip(*np.nonzero(counts), strict=True):
    ax.text(j, i, counts[i, j], ha="center", va="center", fontsize=8, color="white" if i == j else "black")
ax.set_xticks(range(len(words.class_names)), words.class_names, rotation=60, ha="right")
ax.set_yticks(range(len(words.class_names)), words.class_names)
ax.set(xlabel="predicted", ylabel="true", title="Validation clips")

# %%
# A row is a word that was spoken, a column what the classifier predicted; the diagonal is right. What lies beside it is
# mostly a word that shares a sound with the true one. Only 5 clips a word: the interval above says how little that is.
#
# ``classifier.save("model.keras")`` would write all of it, features and names included, into one file, and
# ``aq.load_model("model.keras").classify("yes.wav")`` would use it. These voices are synthetic: for people, train on
# recordings of people.
