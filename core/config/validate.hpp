// What makes a config acceptable (shared/cli.md "Better than wrangler"). Pure; never echoes a
// secret.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"

namespace hyperdrive::core {

inline constexpr std::size_t kMaxNameBytes = 63;
inline constexpr int kMaxMaxAge = 3600;
inline constexpr int kMaxOriginConnectionLimit = 1000;

Result<void> validate_name(std::string_view name);
/// Checks every field and how they go together. Returns warnings (a limit outside Cloudflare's
/// 5-100); the first thing wrong is the error (exit code 64).
Result<std::vector<std::string>> validate(const Config& config);
/// A note where the origin is reachable only from Cloudflare (service id, Access); else empty.
std::string only_from_cloudflare(const Origin& origin);

}  // namespace hyperdrive::core
