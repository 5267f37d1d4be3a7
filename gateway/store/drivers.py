"""The blobs that the configuration names: as documents see them, and as they lie in the store."""

from __future__ import annotations

from gateway.config import Config
from gateway.errors import ConfigurationError
from gateway.store.blobs import Driver, FileBlobs
from gateway.store.encrypted import EncryptedBlobs
from gateway.store.storage_key import LiveKeys
from gateway.store.unit import Fail


def open_blobs(config: Config, fail: Fail | None = None) -> EncryptedBlobs:
    """The octets of the documents, decrypted where they are kept encrypted.

    `fail` is told when a disk has failed, so that nothing may be written any more. Raises
    ConfigurationError if a storage key is missing or the store cannot be used.
    """
    file = config.blobs.storage_key_file
    encrypt = config.blobs.encrypt_at_rest
    if encrypt and file is None:
        raise ConfigurationError(
            "blobs.storage_key_file: this setting is missing, but blobs.encrypt_at_rest is on; "
            "name a file, and make it with `yizhan storage encrypt`"
        )
    return EncryptedBlobs(open_kept(config, fail), LiveKeys(file), encrypt=encrypt)


def open_kept(config: Config, fail: Fail | None = None) -> Driver:
    """The octets as the driver keeps them: for copying a store without its keys.

    Raises ConfigurationError.
    """
    if config.blobs.driver == "files":
        return FileBlobs(config.blobs_directory, fail)
    from gateway.store.s3 import S3Blobs  # noqa: PLC0415  # its library starts a Rust runtime

    if config.blobs.s3 is None:
        raise ConfigurationError("blobs.s3: this table is missing; it names the bucket")
    return S3Blobs(config.blobs.s3)
