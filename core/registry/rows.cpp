#include "core/registry/rows.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/config/json.hpp"
#include "core/config/suggest.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {
namespace {

constexpr std::array<std::string_view, 24> kPlain = {"id",
                                                     "name",
                                                     "scheme",
                                                     "scheme_text",
                                                     "host",
                                                     "port",
                                                     "database",
                                                     "user",
                                                     "service_id",
                                                     "access_client_id",
                                                     "application_name",
                                                     "sslmode",
                                                     "ca_certificate_id",
                                                     "mtls_certificate_id",
                                                     "caching_disabled",
                                                     "max_age",
                                                     "stale_while_revalidate",
                                                     "origin_connection_limit",
                                                     "created_on",
                                                     "modified_on",
                                                     "remote_id",
                                                     "local_port",
                                                     "local_user",
                                                     "settings"};
constexpr std::array<std::string_view, 4> kSealed = {"password", "access_client_secret",
                                                     "local_password", "cache_password"};

/// Walks a row from left to right.
class Reader {
 public:
  explicit Reader(sqlite3_stmt* row) : row_(row) {}
  std::string_view text() {
    const auto* begin = reinterpret_cast<const char*>(sqlite3_column_text(row_, next_));
    const auto length = static_cast<std::size_t>(sqlite3_column_bytes(row_, next_++));
    return begin == nullptr ? std::string_view() : std::string_view(begin, length);
  }
  int number() { return sqlite3_column_int(row_, next_++); }
  std::optional<int> optional_number() {
    if (sqlite3_column_type(row_, next_) != SQLITE_NULL) return number();
    ++next_;
    return std::nullopt;
  }

 private:
  sqlite3_stmt* row_;
  int next_ = 0;
};

Result<Scheme> stored_scheme(const Config& config, std::string_view text) {
  if (auto scheme = parse_scheme(text)) return *scheme;
  return fail(
      fmt::format("The stored config '{}' has the unknown scheme '{}'.", config.name, text));
}

Result<SslMode> stored_ssl_mode(const Config& config, std::string_view text) {
  if (text.empty()) return SslMode::kDefault;
  if (auto mode = parse_ssl_mode(text, Scheme::kPostgresql)) return *mode;
  return fail(
      fmt::format("The stored config '{}' has the unknown sslmode '{}'.", config.name, text));
}

void bind_blob(SQLite::Statement& statement, const char* name, const std::string& blob) {
  if (blob.empty())
    statement.bind(name);
  else
    statement.bind(name, blob.data(), static_cast<int>(blob.size()));
}

Result<std::string> sealed_or_empty(const Config& config, const Secret& secret,
                                    std::string_view purpose, const Sealer& sealer) {
  if (secret.empty()) return std::string();
  return sealer.seal(secret, associated_data(config, purpose));
}

}  // namespace

void ConfigRows::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

ConfigRows::ConfigRows(SQLite::Database& database, std::string_view rest) : database_(database) {
  const std::string sql = fmt::format("SELECT {} FROM configs {}", fmt::join(kPlain, ", "), rest);
  sqlite3_stmt* statement = nullptr;
  const int done = sqlite3_prepare_v2(database.getHandle(), sql.data(),
                                      static_cast<int>(sql.size()), &statement, nullptr);
  if (done != SQLITE_OK) throw SQLite::Exception(database.getHandle(), done);
  statement_.reset(statement);
}

void ConfigRows::bind(std::string_view value) {
  const int done = sqlite3_bind_text(statement_.get(), 1, value.data(),
                                     static_cast<int>(value.size()), SQLITE_TRANSIENT);
  if (done != SQLITE_OK) throw SQLite::Exception(database_.getHandle(), done);
}

Result<const Config*> ConfigRows::next() {
  const int stepped = sqlite3_step(statement_.get());
  if (stepped == SQLITE_DONE) return nullptr;
  if (stepped != SQLITE_ROW) throw SQLite::Exception(database_.getHandle(), stepped);
  if (auto done = read(); !done) return tl::unexpected(done.error());
  return &config_;
}

/// In the order of kPlain; every field is set, whatever the row before had.
Result<void> ConfigRows::read() {
  Reader reader(statement_.get());
  Config& config = config_;
  Origin& origin = config.origin;
  config.id = reader.text();
  config.name = reader.text();
  auto scheme = stored_scheme(config, reader.text());
  if (!scheme) return tl::unexpected(scheme.error());
  origin.scheme = *scheme;
  origin.scheme_text = reader.text();
  origin.host = reader.text();
  origin.port = static_cast<std::uint16_t>(reader.number());
  origin.database = reader.text();
  origin.user = reader.text();
  origin.service_id = reader.text();
  origin.access_client_id = reader.text();
  origin.application_name = reader.text();
  auto mode = stored_ssl_mode(config, reader.text());
  if (!mode) return tl::unexpected(mode.error());
  config.tls.mode = *mode;
  config.tls.ca_certificate_id = reader.text();
  config.tls.mtls_certificate_id = reader.text();
  config.caching.disabled = reader.number() != 0;
  config.caching.max_age = reader.optional_number();
  config.caching.stale_while_revalidate = reader.optional_number();
  config.origin_connection_limit = reader.number();
  config.created_on = reader.text();
  config.modified_on = reader.text();
  config.remote_id = reader.text();
  const int port = reader.number();
  if (settings_read_) config.local = LocalSettings{};
  config.local.local_user = reader.text();
  const std::string_view settings = reader.text();
  settings_read_ = settings != "{}";
  if (settings_read_) {
    const auto json = nlohmann::ordered_json::parse(settings, nullptr, false);
    if (auto read = read_settings(config.local, json); !read)
      return fail(fmt::format("The stored settings of '{}' cannot be read: {}", config.name,
                              read.error().message));
  }
  config.local.local_port = static_cast<std::uint16_t>(port);
  return {};
}

Result<SealedSecrets> seal_secrets(const Config& config, const Sealer& sealer) {
  auto password = sealed_or_empty(config, config.origin.password, "origin", sealer);
  auto access = sealed_or_empty(config, config.origin.access_client_secret, "access", sealer);
  auto local = sealed_or_empty(config, config.local.local_password, "local", sealer);
  auto cache = sealed_or_empty(config, config.local.cache_password, "cache", sealer);
  for (const auto* part : {&password, &access, &local, &cache})
    if (!*part) return tl::unexpected(part->error());
  return SealedSecrets{*password, *access, *local, *cache};
}

Result<void> unseal_secrets(Config& config, const SealedSecrets& sealed, const Sealer& sealer) {
  struct Item {
    const std::string& blob;
    const char* purpose;
    Secret& target;
  };
  for (const Item& item :
       {Item{sealed.password, "origin", config.origin.password},
        Item{sealed.access_client_secret, "access", config.origin.access_client_secret},
        Item{sealed.local_password, "local", config.local.local_password},
        Item{sealed.cache_password, "cache", config.local.cache_password}}) {
    if (item.blob.empty()) continue;
    auto secret = sealer.unseal(item.blob, associated_data(config, item.purpose));
    if (!secret)
      return fail(
          fmt::format("The stored secrets of '{}' do not open: its row was altered outside of "
                      "hyperdrive, or the sealing key is another one.",
                      config.name),
          fmt::format("They are not used. Check the config, then give the password anew: "
                      "hyperdrive update {} --origin-password-file FILE.",
                      shell_word(config)));
    item.target = std::move(*secret);
  }
  return {};
}

void bind_config(SQLite::Statement& statement, const Config& config, const SealedSecrets& sealed) {
  const Origin& origin = config.origin;
  LocalSettings local = config.local;
  local.local_port = 0;  // has its own column
  statement.bind(":id", config.id);
  statement.bind(":name", config.name);
  statement.bind(":scheme", std::string(scheme_name(origin.scheme)));
  statement.bind(":scheme_text", origin.scheme_text);
  statement.bind(":host", origin.host);
  statement.bind(":port", static_cast<int>(origin.port));
  statement.bind(":database", origin.database);
  statement.bind(":user", origin.user);
  statement.bind(":service_id", origin.service_id);
  statement.bind(":access_client_id", origin.access_client_id);
  statement.bind(":application_name", origin.application_name);
  statement.bind(":sslmode", std::string(ssl_mode_name(config.tls.mode, Scheme::kPostgresql)));
  statement.bind(":ca_certificate_id", config.tls.ca_certificate_id);
  statement.bind(":mtls_certificate_id", config.tls.mtls_certificate_id);
  statement.bind(":caching_disabled", config.caching.disabled ? 1 : 0);
  if (config.caching.max_age) statement.bind(":max_age", *config.caching.max_age);
  if (config.caching.stale_while_revalidate)
    statement.bind(":stale_while_revalidate", *config.caching.stale_while_revalidate);
  statement.bind(":origin_connection_limit", config.origin_connection_limit);
  statement.bind(":created_on", config.created_on);
  statement.bind(":modified_on", config.modified_on);
  statement.bind(":remote_id", config.remote_id);
  statement.bind(":local_port", static_cast<int>(config.local.local_port));
  statement.bind(":local_user", config.local.local_user);
  statement.bind(":settings", settings_json(local).dump());
  bind_blob(statement, ":password", sealed.password);
  bind_blob(statement, ":access_client_secret", sealed.access_client_secret);
  bind_blob(statement, ":local_password", sealed.local_password);
  bind_blob(statement, ":cache_password", sealed.cache_password);
}

std::string insert_config_sql() {
  return fmt::format("INSERT INTO configs({}, {}) VALUES (:{}, :{})", fmt::join(kPlain, ", "),
                     fmt::join(kSealed, ", "), fmt::join(kPlain, ", :"), fmt::join(kSealed, ", :"));
}

std::string update_config_sql() {
  std::string assignments;
  for (const std::string_view column : kPlain) assignments += fmt::format("{0} = :{0}, ", column);
  for (const std::string_view column : kSealed) assignments += fmt::format("{0} = :{0}, ", column);
  assignments.resize(assignments.size() - 2);
  return fmt::format("UPDATE configs SET {} WHERE id = :id", assignments);
}

std::string certificate_columns() {
  return "id, name, ca, pem, issuer, serial_number, signature, expires_on, uploaded_on";
}

Certificate read_certificate_row(SQLite::Statement& row) {
  int next = 0;
  const auto text = [&] { return row.getColumn(next++).getString(); };
  Certificate certificate;
  certificate.id = text();
  certificate.name = text();
  certificate.ca = row.getColumn(next++).getInt() != 0;
  certificate.pem = text();
  certificate.issuer = text();
  certificate.serial_number = text();
  certificate.signature = text();
  certificate.expires_on = text();
  certificate.uploaded_on = text();
  return certificate;
}

}  // namespace hyperdrive::core
