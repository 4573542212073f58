"""What a folder of features costs: CPU time against librosa, memory, and whether kills change a byte.

N WAV files of a second at 16 kHz (noise and tones) become log-mel and MFCC (n_fft 512, hop 160, 40 bands, 13
coefficients). Contestants, each in processes of its own, CPU time of all of them with start and end:

- librosa, file by file, one BLAS thread: ``librosa.load(sr=None)``, ``melspectrogram``, ``power_to_db``, then
  ``mfcc(y)``, or with "spectra shared" ``mfcc(S=log_mel)``; each array by ``np.save``;
- ``audioseq features`` with one and two workers.

The files are read once before, so that none waits for the disk. With --memory the largest resident size of a process
is compared for N and 10 N files. With --kills K a run with two workers is killed by SIGKILL K times, at random moments,
each time gone on with; at the end its folder must have the bytes of an undisturbed one.

    python benchmarks/extraction.py --files 10000 --rounds 3 --memory --kills 50

Nothing else should run meanwhile.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

SR = 16000
SPEC = "hop_length=160"
LIBROSA = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
from pathlib import Path
import librosa, numpy as np
folder, out, shared = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "shared"
out.mkdir()
spec = dict(n_fft=512, hop_length=160, n_mels=40, pad_mode="constant")
for path in sorted(folder.rglob("*.wav")):
    y, sr = librosa.load(path, sr=None)
    log_mel = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr, **spec), top_db=None)
    mfcc = librosa.feature.mfcc(n_mfcc=13, **(dict(S=log_mel) if shared else dict(y=y, sr=sr, **spec)))
    np.save(out / f"{path.stem}.log_mel.npy", log_mel.T)
    np.save(out / f"{path.stem}.mfcc.npy", mfcc.T)
"""


def write_files(folder, n, first=0):
    """Sounds of a second in 32 folders; sixteen different ones, each at levels of its own."""
    rng = np.random.default_rng(0)
    t = np.arange(SR) / SR
    base = [0.3 * np.sin(2 * np.pi * hz * t) + 0.05 * rng.standard_normal(SR) for hz in rng.uniform(80, 4000, 16)]
    for i in range(first, first + n):
        path = folder / f"{i % 32:02}" / f"{i:07}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, base[i % 16] * (0.2 + 0.8 * (i * 7919 % 1000) / 1000), SR)


def command(folder, out, *options):
    features = ["--feature", f"log_mel({SPEC})", "--feature", f"mfcc({SPEC})"]
    return [sys.executable, "-m", "audioseq", "features", str(folder), "--out", str(out), *features, *options]


def cost(arguments):
    """CPU and wall seconds of a command and of all processes that it starts."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - begun


def peak(arguments):
    """The largest resident size in MB of one of the processes of a command."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1000


def as_bytes(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def compare(folder, work, rounds):
    runs = {
        "librosa, file by file": lambda out: [sys.executable, "-c", LIBROSA, str(folder), str(out), "apart"],
        "librosa, spectra shared": lambda out: [sys.executable, "-c", LIBROSA, str(folder), str(out), "shared"],
        "audioseq, 1 worker": lambda out: command(folder, out),
        "audioseq, 2 workers": lambda out: command(folder, out, "--workers", "2"),
        "audioseq, again, nothing is new": lambda out: command(folder, work / "kept"),
    }
    cost(command(folder, work / "kept"))
    spent = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            spent[name].append(cost(run(work / "out")))
            shutil.rmtree(work / "out", ignore_errors=True)
    first, shared = (np.array(spent[name]) for name in list(runs)[:2])
    print("| | CPU s | wall s | CPU, times as fast as librosa | as librosa with shared spectra |")
    print("| --- | --- | --- | --- | --- |")
    for name, values in spent.items():
        cpu, wall = np.median(values, axis=0)
        ratios = [float(np.min(base[:, 0] / np.array(values)[:, 0])) for base in (first, shared)]
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


def killed(folder, work, kills):
    options = ("--shard-size", "128", "--workers", "2")
    subprocess.run(command(folder, work / "whole", *options), check=True, stdout=subprocess.DEVNULL)
    _, seconds = cost(command(folder, work / "timed", *options))
    rng, done, complete, out = random.Random(0), 0, 0, work / "killed"
    while done < kills:
        run = subprocess.Popen(command(folder, out, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.2, seconds))
        if run.poll() is None:
            done += 1
            run.send_signal(signal.SIGKILL)
            run.wait()
            continue
        complete += same(out, work / "whole")
        shutil.rmtree(out)
    subprocess.run(command(folder, out, *options), check=True, stdout=subprocess.DEVNULL)
    complete += same(out, work / "whole")
    print(f"{kills} kills by SIGKILL; {complete} folders were completed, all with the bytes of an undisturbed run")


def same(folder, whole):
    """True, for folders of the same bytes; ends the benchmark where they are not."""
    one, other = as_bytes(folder), as_bytes(whole)
    differ = sorted(str(name) for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    if differ:
        sys.exit(f"OTHER BYTES in {', '.join(differ)}")
    return True


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--files", type=int, default=2000, help="of a second (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs (default: 3)")
    parser.add_argument("--memory", action="store_true", help="also the memory for ten times as many files")
    parser.add_argument("--kills", type=int, default=0, help="kill a run so often (default: 0)")
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with tempfile.TemporaryDirectory() as place:
        work, folder = Path(place), Path(place, "sounds")
        write_files(folder, args.files)
        print(f"{args.files:,} files of a second\n")
        if args.rounds:
            compare(folder, work, args.rounds)
        if args.kills:
            killed(folder, work, args.kills)
        if args.memory:
            sizes = [peak(command(folder, work / "few", "--workers", "2"))]
            write_files(folder, 9 * args.files, first=args.files)
            sizes.append(peak(command(folder, work / "many", "--workers", "2")))
            print(f"\nlargest process: {sizes[0]:.1f} MB; with {10 * args.files:,} files {sizes[1]:.1f} MB", end="")
            print(f" ({sizes[1] / sizes[0] - 1:+.1%})")


if __name__ == "__main__":
    main()
