"""
A piece and its piano roll
==========================

A small LSTM has learnt 324 chorales by Johann Sebastian Bach, token by token. Here it writes a piece, and one sees
what was drawn, what the key allows, and what the temperature does.
"""

# %%
# Eight bars
# ----------
#
# The model is one file: tokenizer, network, tempo and meter. The same seed writes the same piece.

import matplotlib.pyplot as plt

import audioseq as aq
from audioseq.files import shipped

ASSETS = shipped("assets")
model = aq.load_model(ASSETS / "music" / "model.keras")
piece = model.generate(bars=8, temperature=0.95, top_p=0.95, seed=1)
notes = [note for instrument in piece.instruments for note in instrument.notes]
print(f"{len(notes)} notes by {len(piece.instruments)} voices in {piece.get_end_time():.1f} s")

COLOURS = ("#1d4e89", "#c2410c", "#4d7c0f", "#7e22ce", "#64748b")


def draw(ax, piece, title):
    """Notes as bars: pitch over time, a colour for each voice."""
    for instrument, colour in zip(piece.instruments, COLOURS, strict=False):
        for note in instrument.notes:
            ax.barh(note.pitch, note.end - note.start, left=note.start, height=0.9, color=colour)
    for bar in piece.get_downbeats():
        ax.axvline(bar, color="#9aa5b1", linewidth=0.7, zorder=0)
    ax.set_yticks([36, 48, 60, 72, 84], ["C2", "C3", "C4", "C5", "C6"])
    ax.set(title=title, ylim=(35, 85), xlim=(0, piece.get_end_time()))


fig, ax = plt.subplots(figsize=(9, 4), layout="constrained")
draw(ax, piece, "Seed 1")
ax.set_xlabel("seconds")

# %%
# Four voices that move together, the upper ones by small steps; a grey line begins a bar. The last note ends with the
# last bar: the length is part of what may be drawn, not cut afterwards. ``aq.save_midi("new.mid", piece)`` writes a
# file for any sequencer, and ``aq.synthesis.save_wav("new.wav", piece)`` a sound.
#
# A key and a range
# -----------------
#
# What breaks a rule is never drawn. With a key, the other pitches are masked at each step.

pieces = {"C major": model.generate(bars=8, key="C major", seed=2), "any key": model.generate(bars=8, seed=2)}
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for ax, (title, piece) in zip(axes, pieces.items(), strict=True):
    ax.bar(range(12), piece.get_pitch_class_histogram(), color="#1d4e89")
    ax.set_xticks(range(12), ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"])
    ax.set_title(title)
axes[0].set_ylabel("share of the notes")

# %%
# On the left no black key was ever touched. On the right there are a few, as the piece asks for them.
#
# Temperature
# -----------
#
# The logits are divided by the temperature before a token is drawn. Below 1 the likely becomes likelier; above, the
# unlikely gets its chance.

temperatures = (0.3, 0.95, 1.5)
fig, axes = plt.subplots(3, 1, figsize=(9, 8), layout="constrained")
for ax, temperature in zip(axes, temperatures, strict=True):
    piece = model.generate(bars=8, temperature=temperature, top_p=1.0, seed=3)
    pitches = {note.pitch for instrument in piece.instruments for note in instrument.notes}
    draw(ax, piece, f"temperature {temperature:g}: {len(pitches)} different pitches")
axes[-1].set_xlabel("seconds")

# %%
# At the top the voices hardly move, since the likeliest note is mostly the one before or its neighbour; at the bottom
# they leap, and rhythms get restless. All three keep to the grammar: no note hangs, and the piece has its eight bars.

assert all(note.end > note.start for instrument in piece.instruments for note in instrument.notes)
quarter_notes = piece.time_to_tick(piece.get_end_time()) / piece.resolution
assert quarter_notes == 8 * 4
