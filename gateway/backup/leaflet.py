"""The README of an export, in Chinese and in English: how to read it without this program."""

# ruff: noqa: E501  # rows of tables

ENGLISH = """# Everything of the post office {office} ({domain})

Exported on {at} by Yizhan {version}, store {identity}. Nothing here needs Yizhan: texts are UTF-8,
mails are RFC 5322, digests are SHA-256, signatures are Ed25519 (RFC 8032) and OpenPGP (RFC 9580).

| what | where |
| --- | --- |
| documents, octet for octet as they came | `documents/<year>/<month>/<day>/<time>_<number>_<id>.eml` |
| every mailbox with its folders, flags and times | `mailboxes/`, one Maildir each |
| receipts as they were mailed | `evidence/receipts/<document>/` |
| records of evidence with their signatures | `evidence/records.jsonl` |
| checkpoints of the log | `evidence/checkpoints.jsonl` |
| evidence keys with the office's word for them | `evidence/keys.json` |
| the office's OpenPGP certificate | `evidence/office.asc` |
| seals of the units | `seals/<unit>_<fingerprint>.asc`; when each counted: `tables/seals.csv` |
| units, accounts, groups, duty persons | `directory.csv` |
| documents, deliveries, reminders, refusals, changes ... | `tables/`, each as CSV and as JSON lines |

Times in the tables are Unix milliseconds, UTC. Octets in them are base64. A document's id leads from
one table to the other, to its file and to its records. Passwords are not here.

## Is it whole?

    sha256sum --check --quiet SHA256SUMS
    python3 verify.py

`verify.py` needs Python 3.11 or newer and gpg, nothing else. It checks every file, the office's word
for the evidence keys, the chain of records of each document, the Merkle tree (RFC 6962) behind every
checkpoint, and that each accepted document is here with the octets that its evidence names.

## What a record says

Each line of `records.jsonl` has `record` (base64 of the record's exact octets, canonical JSON, RFC
8785), `signature` (base64, Ed25519 by the key that the record names, over `yizhan-record-v1`, a line
feed and those octets) and `number` (its place in the log, from 0; null if it came after the last
checkpoint). The entry of the log is the record's octets: leaf hash SHA-256 of `00` and the octets,
inner hash SHA-256 of `01`, left and right. A checkpoint is a C2SP signed note: name, size, base64 of
the root; its signature line is base64 of four octets that name the key and 64 octets of Ed25519.
A record whose event is `StoreRestored` says that the office was brought back from a backup: receipts
that were mailed between that backup and the loss show a log that this one does not contain.
"""

CHINESE = """# 电子邮局“{office}”（{domain}）全部数据

导出时间 {at}（UTC），程序 Yizhan {version}，存储标识 {identity}。阅读本目录不需要 Yizhan：文本一律
UTF-8，邮件为 RFC 5322，摘要为 SHA-256，签名为 Ed25519（RFC 8032）和 OpenPGP（RFC 9580）。

| 内容 | 位置 |
| --- | --- |
| 公文原文（逐字节与收到时相同） | `documents/<年>/<月>/<日>/<时间>_<文号>_<编号>.eml` |
| 全部信箱，含文件夹、标志和时间 | `mailboxes/`，每个信箱一个 Maildir |
| 已发出的回执 | `evidence/receipts/<公文编号>/` |
| 凭证及其签名 | `evidence/records.jsonl` |
| 日志检查点 | `evidence/checkpoints.jsonl` |
| 凭证密钥及邮局的认证 | `evidence/keys.json` |
| 邮局的 OpenPGP 公钥 | `evidence/office.asc` |
| 各单位电子印章公钥 | `seals/<单位>_<指纹>.asc`；有效期间见 `tables/seals.csv` |
| 单位、账号、群组、值班人员 | `directory.csv` |
| 公文、投递、催办、拒收、变更等 | `tables/`，各有 CSV 和 JSON 两种 |

表中的时间是 Unix 毫秒（UTC），二进制内容为 base64。以公文编号可在各表、原文和凭证之间互查。
不含任何口令。

## 核对是否完整

    sha256sum --check --quiet SHA256SUMS
    python3 verify.py

`verify.py` 只需 Python 3.11 以上和 gpg。它核对每个文件、邮局对凭证密钥的认证、每件公文的凭证链、
每个检查点背后的 Merkle 树（RFC 6962），以及每件已受理公文的原文与凭证所载摘要一致。

凭证的格式见英文说明 README.md。事件 `StoreRestored` 表示邮局曾从备份恢复：备份之后、损毁之前寄出的
回执所载的日志，本日志不包含。
"""
