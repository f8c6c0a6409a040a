// The Unix socket's file: bound with mode 0600, a stale one replaced, a live one never.
#pragma once

#include <string>

#include "core/base/error.hpp"

namespace hyperdrive::proxy::admin {

/// A listening, non-blocking, close-on-exec descriptor that the caller owns.
core::Result<int> listen_on_socket_file(const std::string& path);

}  // namespace hyperdrive::proxy::admin
