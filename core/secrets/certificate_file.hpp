// PEM files that are to become certificates of the registry: what is in them, do they fit, are they
// still valid. Pure but for the clock; no I/O.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.hpp"
#include "core/base/secret.hpp"

namespace hyperdrive::core {

/// The first certificate of a chain (the leaf, or the first authority).
struct CertificateFacts {
  std::string subject;  ///< RFC 2253: `CN=db.example.com,O=Example`
  std::string issuer;
  std::string serial_number;  ///< hexadecimal
  std::string signature;      ///< `sha256WithRSAEncryption`
  std::string expires_on;     ///< RFC 3339, UTC
  bool authority = false;     ///< basicConstraints CA:TRUE
  int count = 0;              ///< certificates in the file
};

/// Every certificate of the text must parse and be valid now; an expired one is an error that says
/// since when. `file` names it in errors.
Result<CertificateFacts> read_certificates(std::string_view pem, std::string_view file);

/// Does the private key (PEM, not encrypted) belong to the first certificate?
Result<void> check_key_belongs(std::string_view certificate_pem, const Secret& key_pem,
                               std::string_view key_file);

}  // namespace hyperdrive::core
