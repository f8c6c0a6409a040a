// Wall-clock time as Cloudflare's API writes it.
#pragma once

#include <string>

namespace hyperdrive::core {

/// `2026-01-02T03:04:05.678901Z`: RFC 3339, UTC, microseconds.
std::string now_rfc3339();

}  // namespace hyperdrive::core
