# Writes a WAV file, or checks what examples/voice.cpp prints for it against the model without states,
# which is given its state by hand. Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: voice.py write FILE.wav | voice.py check FILE.wav PLAIN.lathe PRINTED"""
import sys
import wave

import numpy as np

RATE, BEFORE, WINDOW = 16000, 64, 512


def write(path):
    time = np.arange(RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12))
    samples = np.concatenate([np.zeros(4000), buzz * (1 + np.sin(2 * np.pi * 4 * time)) / 6,
                              np.random.default_rng(0).standard_normal(3001) / 50])
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples.clip(-1, 0.99) * 32767).astype("<i2").tobytes())


def check(path, artifact, printed):
    import lathe
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    model = lathe.load(artifact)
    with open(printed, encoding="ascii") as file:
        found = [float(line.split()[2]) for line in file]
    samples = np.pad(samples, (BEFORE, -len(samples) % WINDOW))
    state, expected = np.zeros((2, 1, 128), np.float32), []
    for at in range(0, len(samples) - BEFORE, WINDOW):
        result = model.run({"input": samples[None, at:at + BEFORE + WINDOW], "state": state})
        state = result["stateN"]
        expected.append(float(result["output"][0, 0]))
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert max(expected) - min(expected) > 0.01, "the recording tells nothing"
    print(f"{len(found)} windows agree")


if sys.argv[1] == "write":
    write(sys.argv[2])
else:
    check(*sys.argv[2:])
