// `hyperdrive-proxy --verify`: connects to the origin as the proxy would, step by step, and tells
// what each took (docs/admin-api.md has the document).
//
// Blocks its thread: it runs a loop of its own, in a process of its own.
#pragma once

#include <string>

#include "core/config/config.hpp"

namespace hyperdrive::proxy::server {

struct Verification {
  bool ok = false;       ///< no step failed
  std::string document;  ///< JSON, one line, no secret in it
};

/// By the scheme of the config.
Verification verify_origin(const core::Launch& launch);

}  // namespace hyperdrive::proxy::server
