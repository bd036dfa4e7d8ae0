"""What Python gives is what the command line gives."""

import numpy
from conftest import ARGUMENTS, DIGITS, FLAGS, ROOT, SAMPLE

import vta


def test_run(digits, command):
    logits = digits.run(SAMPLE)
    said = command("run", DIGITS / "digits.onnx", "--input", SAMPLE, *FLAGS)
    assert logits.shape == (1, 10) and logits.dtype == numpy.float32
    for top in said["top"]:
        assert logits[0, top["class"]] == numpy.float32(top["score"])
    assert said["top"][0]["class"] == logits.argmax() == 3
    assert digits.counters == said["counters"]
    assert digits.placement == said["placement"]
    assert digits.notes == said["notes"]


def test_compile_writes_the_same_file(command, tmp_path):
    labels = DIGITS / "labels.txt"
    command("compile", DIGITS / "digits.onnx", "-o", tmp_path / "a", "--labels", labels, *FLAGS)
    vta.compile(DIGITS / "digits.onnx", labels=labels, **ARGUMENTS).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_quantized_network(data, command):
    model = data / "models" / "dscnn_kws_int8_qdq.onnx"
    samples = data / "dev" / "kws"
    module = vta.compile(model)
    output = module.run(numpy.load(samples / "x.npy")[:2])
    for index in range(2):
        said = command("run", model, "--input", samples, "--index", str(index))
        for top in said["top"]:
            assert output[index].ravel()[top["class"]] == top["score"]


def test_readme(monkeypatch, capsys):
    """The lines of the README print what the command line's first example predicts."""
    text = (ROOT / "README.md").read_text()
    lines = [line.strip() for line in text.splitlines()]
    start = lines.index("import vta")
    monkeypatch.chdir(ROOT)
    exec("\n".join(lines[start : start + 3]), {})
    assert capsys.readouterr().out == "3\n"
