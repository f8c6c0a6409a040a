// The password as SCRAM hashes it (RFC 4013), with Postgres's leniency: a password that is not
// UTF-8 or holds prohibited characters is taken as its raw bytes (pg_saslprep's callers do the
// same).
#pragma once

#include "core/base/secret.hpp"

namespace hyperdrive::proxy::wire::postgres {

core::Secret saslprep(const core::Secret& password);

}  // namespace hyperdrive::proxy::wire::postgres
