# Copyright: academy.deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a team's .env on the control node, says what is wrong with it, and puts its secrets into the vault on request.

Plain text is never written: the vault's new text is encrypted in memory, and only that reaches a file.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.vault import AnsibleVaultPasswordError, is_encrypted, match_encrypt_secret
from ansible.plugins.action import ActionBase

from ..module_utils.application_environment import table_findings
from ..module_utils.environment_lint import lint, merged_vault, plain_settings, vault_values
from ..module_utils.findings import errors, report
from ..module_utils.placeholders import filled
from ..plugin_utils.variables import TABLE, table_rows

# More is no .env.
LARGEST_BYTES = 1024 * 1024
NEW_VAULT = "---\n"


def failure(en: str, ko: str) -> AnsibleActionFail:
    return AnsibleActionFail(f"{en}\n{ko}")


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "path": {"type": "path", "required": True},
                "vault_path": {"type": "path"},
                "overwrite": {"type": "list", "elements": "str", "default": []},
            }
        )
        table, services = variables.get(TABLE), [*(variables.get("services") or ())]
        if not isinstance(table, Mapping):
            raise AnsibleActionFail("\n".join(report(table_findings(table, services))))
        rows, resolved = table_rows(table, variables, self._loader)
        malformed = table_findings(rows, services)
        if malformed:
            raise AnsibleActionFail("\n".join(report(malformed)))
        values, findings = lint(
            self._read(arguments["path"]),
            rows,
            {name: resolved.values[name] for name in filled(resolved.values)},
        )
        lines = report(findings)
        result.update(
            changed=False,
            findings=[finding.as_dict() for finding in findings],
            report=lines,
            names_changed=[],
        )
        broken = errors(findings)
        # Where lines are broken, what stands behind a name may be the rest of a secret.
        result["settings"] = {} if broken else plain_settings(values, rows, resolved.values)
        if broken:
            title = [
                f"{arguments['path']}: {len(broken)} problem(s) must be fixed first; nothing was imported.",
                f"{arguments['path']}: 먼저 고쳐야 할 문제가 {len(broken)}개 있습니다. 아무것도 가져오지 않았습니다.",
                "",
            ]
            result.update(failed=True, msg="\n".join([*title, *lines]))
        elif arguments["vault_path"]:
            result.update(self._import(Path(arguments["vault_path"]), vault_values(values, rows), arguments))
        return result

    def _read(self, path: str) -> bytes:
        try:
            with Path(path).open("rb") as file:
                data = file.read(LARGEST_BYTES + 1)
        except OSError as error:
            raise failure(
                f"env_file: cannot read {path} ({error.strerror}). Name the file on this machine: -e env_file=<path>.",
                f"env_file: {path}을(를) 읽을 수 없습니다. 이 컴퓨터의 파일을 지정하십시오: -e env_file=<경로>.",
            ) from error
        if len(data) > LARGEST_BYTES:
            raise failure(
                f"env_file: {path} has more than {LARGEST_BYTES} bytes; that is no .env.",
                f"env_file: {path}이(가) {LARGEST_BYTES}바이트를 넘으므로 .env가 아닙니다.",
            )
        return data

    def _import(self, vault_path: Path, wanted: Mapping[str, str], arguments: Mapping[str, Any]) -> dict[str, Any]:
        vault = self._loader._vault
        text, identity, secret = NEW_VAULT, None, None
        try:
            if vault_path.exists():
                encrypted = vault_path.read_bytes()
                if not is_encrypted(encrypted):
                    raise failure(
                        f"{vault_path} is not encrypted. Encrypt it first: ansible-vault encrypt {vault_path}",
                        f"{vault_path}이(가) 암호화되어 있지 않습니다. 먼저 실행하십시오: "
                        f"ansible-vault encrypt {vault_path}",
                    )
                plain, identity, secret = vault.decrypt_and_get_vault_id(encrypted)
                text = plain.decode("utf-8")
            else:
                found = match_encrypt_secret(vault.secrets or [])
                if found is None:
                    raise AnsibleVaultPasswordError
                identity, secret = found
        except AnsibleActionFail:
            raise
        except (AnsibleError, OSError, ValueError) as error:
            raise failure(
                f"{vault_path}: cannot be opened with the vault password given ({type(error).__name__}). Give it by "
                "--vault-password-file or --ask-vault-pass, or by vault_password_file in ansible.cfg.",
                f"{vault_path}: 주어진 볼트 비밀번호로 열 수 없습니다. --vault-password-file, --ask-vault-pass 또는 "
                "ansible.cfg의 vault_password_file로 지정하십시오.",
            ) from error
        current = self._vault_mapping(text, vault_path)
        text, names, refused = merged_vault(text, current, wanted, arguments["overwrite"])
        if refused:
            raise failure(
                f"{vault_path}: {', '.join(refused)} differ from what the vault holds; nothing was written. If "
                f"the file is right, name them: -e env_overwrite={','.join(refused)}.",
                f"{vault_path}: {', '.join(refused)}의 값이 볼트와 달라 아무것도 쓰지 않았습니다. 파일이 맞다면 이름을 "
                f"지정하십시오: -e env_overwrite={','.join(refused)}.",
            )
        if self._vault_mapping(text, vault_path) != {**current, **wanted}:
            raise failure(
                f"{vault_path}: {', '.join(names)} cannot be put in place; use ansible-vault edit.",
                f"{vault_path}: {', '.join(names)}을(를) 넣을 수 없습니다. ansible-vault edit로 고치십시오.",
            )
        if names and not self._task.check_mode:
            self._write(vault_path, vault.encrypt(text, secret=secret, vault_id=identity))
        return {
            "changed": bool(names),
            "names_changed": names,
            "diff": {"before": "", "after": "".join(f"{name}\n" for name in names), "after_header": str(vault_path)},
        }

    def _vault_mapping(self, text: str, vault_path: Path) -> dict[str, Any]:
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError:
            # Its message shows the line.
            found = "not YAML"
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise failure(
                f"{vault_path}: holds no mapping of variables; fix it with ansible-vault edit.",
                f"{vault_path}: 변수의 매핑이 아닙니다. ansible-vault edit로 고치십시오.",
            )
        return found

    def _write(self, vault_path: Path, encrypted: bytes) -> None:
        """All or nothing, readable by its owner alone from its first byte on."""
        descriptor, name = tempfile.mkstemp(dir=vault_path.parent, prefix=f".{vault_path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(encrypted)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(vault_path)
        except OSError as error:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise failure(
                f"{vault_path}: cannot be written ({error.strerror}). Make its directory writable.",
                f"{vault_path}: 쓸 수 없습니다. 디렉터리에 쓰기 권한을 주십시오.",
            ) from error
