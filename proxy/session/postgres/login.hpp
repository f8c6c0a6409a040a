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
  std::string mechanism;  ///< chosen by the client
  bool started = false;
  bool profile_known = false;  ///< what a session with these settings is told need not be asked
  bool seeking_home = false;   ///< see Client::seek_home
  int homes_tried = 0;
  std::uint32_t process_id = 0;  ///< of the connection that is the session's own; 0: none
};

}  // namespace hyperdrive::proxy::session::postgres
