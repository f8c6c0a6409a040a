// What a login needs and an idle session does not.
#pragma once

#include <memory>
#include <string>

#include "proxy/session/postgres/settings.hpp"
#include "proxy/wire/postgres/frontend.hpp"
#include "proxy/wire/postgres/scram.hpp"

namespace hyperdrive::proxy::session::postgres {

struct Login {
  std::string user;
  std::string database;
  std::string application_name;
  wire::postgres::Version version = wire::postgres::kVersion30;
  wire::postgres::ScramVerifier mock;  ///< for a user who does not exist
  std::unique_ptr<wire::postgres::ScramServer> scram;
  bool started = false;
};

}  // namespace hyperdrive::proxy::session::postgres
