"""A certificate authority of our own, made with openssl in a temporary folder."""

import os
import shutil
import subprocess

from . import unprivileged


class Authority:
    """`ca.pem` and what it signs; all keys unencrypted, valid for `days`."""

    def __init__(self, name: str = "Test CA"):
        self.folder = unprivileged.temp_folder("hd-ca-")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", f"/CN={name}")

    def issue(self, name: str, subject: str, san: str = "", days: int = 30) -> tuple[str, str]:
        """Paths of certificate and key for CN=`subject`; `san` like "DNS:localhost,IP:127.0.0.1"."""
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                      f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        extensions = os.path.join(self.folder, f"{name}.ext")
        with open(extensions, "w") as f:
            f.write(f"subjectAltName={san}\n" if san else "\n")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", str(days), "-extfile", extensions, "-out", f"{name}.pem")
        os.chmod(self.path(f"{name}.key"), 0o600)
        if os.geteuid() == 0:
            shutil.chown(self.path(f"{name}.key"), unprivileged.server_user())
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def path(self, file: str) -> str:
        return os.path.join(self.folder, file)

    def read(self, file: str) -> str:
        with open(self.path(file)) as f:
            return f.read()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)
