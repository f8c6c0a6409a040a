// What `create` and `update` change of a config, as their flags say. Applying it is pure, so that
// `update` can do so inside the registry's transaction and to the copy that is verified.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "core/config/config.hpp"
#include "core/config/connection_string.hpp"
#include "core/config/settings.hpp"

namespace hyperdrive::cli {

/// What the flags say. What is not given stays as it is.
struct ConfigEdit {
  std::optional<core::ConnectionString> connection;  ///< replaces the whole origin
  std::optional<core::Scheme> scheme;
  std::optional<std::string> host;
  std::optional<std::uint16_t> port;
  std::optional<std::string> database;
  std::optional<std::string> user;
  std::optional<core::Secret> password;
  std::optional<std::string> service_id;
  std::optional<std::string> access_client_id;
  std::optional<core::Secret> access_client_secret;
  std::optional<std::string> ca_certificate_id;
  std::optional<std::string> mtls_certificate_id;
  std::optional<std::string> ssl_mode;
  std::optional<bool> caching_disabled;
  std::optional<int> max_age;
  std::optional<int> stale_while_revalidate;
  std::optional<int> origin_connection_limit;
  std::vector<std::pair<const core::Setting*, std::string>> settings;
  std::optional<std::string> root_certificate;  ///< file of the connection string's `sslrootcert`

  bool empty() const;
  /// Whether the origin must be verified anew.
  bool touches_origin() const;
  /// Applies everything; errors are those of values that do not fit this config.
  core::Result<void> apply(core::Config& config) const;
};

}  // namespace hyperdrive::cli
