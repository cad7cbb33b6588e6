"""Say what mends a TLS connection that was not made: the texts of OpenSSL name no option."""

from __future__ import annotations

import ssl

__all__ = ["tls_cure"]

# The verify codes of OpenSSL: 18 to 21 tell of an authority that is not known, 62 and 64 of a name and an address.
_UNKNOWN_AUTHORITY = frozenset((18, 19, 20, 21))
_ANOTHER_NAME = frozenset((62, 64))
_DATES = frozenset((9, 10))
_NO_CERTIFICATE = "NO_CERTIFICATE_OR_CRL_FOUND"
_NO_TLS = "WRONG_VERSION_NUMBER"


def tls_cure(error: BaseException, option: str) -> str:
    """
    Return what to do about *error*, empty text where it is none of TLS or nobody can say.

    Args:
        option: the one that names the file with the certificates to trust.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _cure_of_refusal(error.verify_code, option)
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    if reason == _NO_CERTIFICATE:
        return f"the file that {option} names holds no certificate in PEM"
    return "no TLS is spoken there; is it http?" if reason == _NO_TLS else ""


def _cure_of_refusal(verify_code: int, option: str) -> str:
    if verify_code in _UNKNOWN_AUTHORITY:
        return f"set {option} to a file with the certificate of the authority that signed theirs"
    if verify_code in _ANOTHER_NAME:
        return "use the name that their certificate has"
    return "look at the clock here, and at the dates of their certificate" if verify_code in _DATES else ""
