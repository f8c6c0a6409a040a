// Streams whose news a loop hears before those of others that came in the same moment.
//
// For connections that are lent: of one that has just died its owner knows before somebody asks for
// it, if the kernel knew. Loop thread only.
#pragma once

#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::net {

/// From now on, on whatever loop.
void read_first(Stream& stream);

}  // namespace hyperdrive::proxy::net
