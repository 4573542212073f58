"""
MIDI to tokens and back
=======================

A network that writes music reads it as whole numbers: *tokens*. A tokenizer turns notes into tokens and tokens into
notes. This page takes a chorale there and back with three tokenizers, and shows what each keeps.
"""

# %%
# A chorale
# ---------
#
# The chorales of Johann Sebastian Bach come with the package; `aq.chorales` reads them. `aq.load_midi` would read
# a file of yours.

import matplotlib.pyplot as plt
import numpy as np

import audioseq as aq
from audioseq.midi.score import as_pretty_midi

chorale = aq.chorales.chorales()[0]
piece = as_pretty_midi(chorale.score)
print(f"{chorale.name}: {sum(len(part.notes) for part in piece.instruments)} notes in {piece.get_end_time():.1f} s")

# %%
# Three ways to say it
# --------------------
#
# - `aq.EventTokenizer` says what happens when: a key goes down, some time passes, the key goes up.
# - `aq.BeatTokenizer` says where in which bar a note begins, who plays it, how high, and for how long.
# - `aq.MelodyTokenizer` has one token a step: a pitch begins, goes on, or nothing sounds.

tempo = piece.get_tempo_changes()[1][0]
tokenizers = [aq.EventTokenizer(), aq.BeatTokenizer(), aq.MelodyTokenizer(tempo=tempo)]
for tokenizer in tokenizers:
    tokens = tokenizer.encode(piece)
    names = [tokenizer.vocabulary[token] for token in tokens[40:49]]
    print(f"{type(tokenizer).__name__}: {len(tokens)} tokens out of {tokenizer.size}")
    print(f"    {' '.join(names)} ...\n")

# %%
# And back
# --------

fig, axes = plt.subplots(4, 1, figsize=(9, 9), sharex=True, sharey=True, layout="constrained")
decoded = {"the chorale": piece}
for tokenizer in tokenizers:
    decoded[type(tokenizer).__name__] = tokenizer.decode(tokenizer.encode(piece))
for ax, (title, notes) in zip(axes, decoded.items(), strict=True):
    roll = aq.piano_roll(notes, frames_per_second=20)[: 20 * 16, 36:85]
    ax.imshow(roll.T, origin="lower", aspect="auto", extent=(0, len(roll) / 20, 35.5, 84.5), cmap="Blues", vmax=1.3)
    ax.set_yticks([36, 48, 60, 72, 84], ["C2", "C3", "C4", "C5", "C6"])
    ax.set_title(f"{title}: the first {len(roll) / 20:.0f} s")
axes[-1].set_xlabel("seconds")

# %%
# Events and beats give back the chorale. The melody tokenizer keeps its highest voice: that is what it is for.
#
# Events know no voices: where two sing the same pitch at once, one note remains. Beats know voices, tempo and bars, and
# place notes on a grid of sixteenths: fine for written music; for played music there is a finer grid, or events.

beats = tokenizers[1]
tokens = beats.encode(piece)
assert np.array_equal(beats.encode(beats.decode(tokens)), tokens)

# %%
# What `encode` wrote comes back to the token, as the line above checks. And any tokens at all decode to notes that
# end: a network that has learnt nothing yet writes strange music, but valid files.

rng = np.random.default_rng(0)
events = tokenizers[0]
strange = events.decode(rng.integers(events.size, size=400).astype(np.int32))
fig, ax = plt.subplots(figsize=(9, 3), layout="constrained")
roll = aq.piano_roll(strange, frames_per_second=20)
ax.imshow(roll.T, origin="lower", aspect="auto", extent=(0, len(roll) / 20, -0.5, 127.5), cmap="Blues", vmax=1.3)
ax.set(title="400 tokens drawn blindly", xlabel="seconds", ylabel="MIDI pitch")
