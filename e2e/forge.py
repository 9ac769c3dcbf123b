"""Certificates of any shape, right and wrong, by openssl."""
import mesh

P256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
PURPOSE = "clientAuth,serverAuth"


def der(tag, content):
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def names(*pairs):
    """A subjectAltName of (tag, bytes): 0x81 mail, 0x82 DNS, 0x86 URI, 0x87 address."""
    return "DER:" + der(0x30, b"".join(der(tag, content) for tag, content in pairs)).hex(":")


def dns(text):
    return names((0x82, text if isinstance(text, bytes) else text.encode()))


class Forger:
    """Signs what it is told to, with any issuer's key."""

    def __init__(self, trust, directory):
        self.trust, self.directory, self.made = trust, directory, 0

    def folder(self):
        self.made += 1
        folder = self.directory / f"forged-{self.made}"
        folder.mkdir(parents=True)
        return folder

    def make(self, issuer, san, *, key=None, digest="sha256", usage="digitalSignature", purpose=PURPOSE,
             ca="critical,CA:FALSE", start=None, end=None, subject="forged", extra=""):
        """A folder with tls.key and alone.crt. 'start' and 'end' as openssl ca has them."""
        folder = self.folder()
        lines = [f"basicConstraints={ca}" if ca else "", f"keyUsage=critical,{usage}" if usage else "",
                 f"extendedKeyUsage={purpose}" if purpose else "",
                 f"subjectAltName={san}" if san else "", "subjectKeyIdentifier=hash",
                 "authorityKeyIdentifier=keyid:always" if issuer else "", extra]
        (folder / "extensions").write_text("[e]\n" + "\n".join(line for line in lines if line) + "\n")
        mesh.openssl("req", "-new", "-newkey", *(key or P256), "-nodes", "-keyout", folder / "tls.key",
                     "-subj", f"/CN={subject}", "-out", folder / "request")
        signer = issuer or folder
        if not issuer:
            mesh.openssl("req", "-x509", "-in", folder / "request", "-key", folder / "tls.key",
                         "-days", 1, "-out", folder / "tls.crt")
        (folder / "index").write_text("")
        (folder / "serial").write_text("1000\n")
        (folder / "config").write_text(
            f"[ca]\ndefault_ca=c\n[c]\ndatabase={folder}/index\nserial={folder}/serial\n"
            f"new_certs_dir={folder}\npolicy=p\nunique_subject=no\n[p]\ncommonName=optional\n")
        dates = ["-startdate", start] if start else []
        dates += ["-enddate", end] if end else ["-days", "1"]
        mesh.openssl("ca", "-batch", "-notext", "-config", folder / "config", "-in", folder / "request",
                     "-cert", signer / "tls.crt", "-keyfile", signer / "tls.key", "-md", digest,
                     *dates, "-extfile", folder / "extensions", "-extensions", "e",
                     "-out", folder / "alone.crt")
        return folder

    def leaf(self, issuer, san, chain=None, **how):
        """A folder as a leaf's: with the issuer's chain, or the texts of 'chain', after it."""
        folder = self.make(issuer, san, **how)
        after = [(issuer / "tls.crt").read_text()] if issuer and chain is None else chain or []
        (folder / "tls.crt").write_text("".join([(folder / "alone.crt").read_text(), *after]))
        return folder

    def authority(self, issuer, extra="", ca="critical,CA:TRUE,pathlen:0", **how):
        """An issuer, whose tls.crt is its chain up to what the anchor signed."""
        folder = self.make(issuer, None, ca=ca, usage="keyCertSign,cRLSign", purpose=None, extra=extra,
                           **how)
        above = "" if issuer == self.trust.anchor else (issuer / "tls.crt").read_text()
        (folder / "tls.crt").write_text((folder / "alone.crt").read_text() + above)
        return folder
