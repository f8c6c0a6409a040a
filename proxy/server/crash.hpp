// Last words: a proxy that dies of a fault of its own says so in its log before it ends.
#pragma once

namespace hyperdrive::proxy::server {

/// From now on SIGSEGV and its like write one line and the call stack to standard error (the log,
/// as the CLI starts a proxy) and then take their usual course. Not under a sanitizer, which has
/// reports of its own. Where no memory can be had, one line says that.
void log_crashes();

}  // namespace hyperdrive::proxy::server
