#include "cli/origin_flags.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <span>

#include "cli/output/prompt.hpp"
#include "cli/secret_input.hpp"
#include "core/base/file.hpp"
#include "core/config/text.hpp"
#include "core/config/validate.hpp"

namespace hyperdrive::cli {
namespace {

constexpr std::string_view kByString = "Configure using a connection string";
constexpr std::string_view kByHost =
    "Configure using individual parameters [conflicts with --connection-string, --service-id]";
constexpr std::string_view kByParts =
    "Configure using individual parameters [conflicts with --connection-string]";
constexpr std::string_view kByAccess =
    "Hyperdrive over Access [conflicts with --connection-string, --origin-port, --service-id]";
constexpr std::string_view kCaching = "Caching Options";

constexpr Flag kFlags[] = {
    {.name = "connection-string",
     .help = "The connection string of the database: protocol://user:password@host:port/database; "
             "`-` reads it from standard input",
     .group = kByString,
     .secret = true},
    {.name = "connection-string-env",
     .help = "The environment variable that holds the connection string",
     .group = kByString},
    {.name = "origin-host",
     .aliases = "host",
     .help = "The host of the origin database",
     .group = kByHost},
    {.name = "origin-port",
     .aliases = "port",
     .kind = FlagKind::kNumber,
     .help = "The port number of the origin database (default: 5432, MySQL 3306)",
     .group = kByHost},
    {.name = "origin-scheme",
     .aliases = "scheme",
     .help = "The scheme used to connect to the origin database (default: postgresql)",
     .group = kByParts,
     .choices = "postgres|postgresql|mysql",
     .offer = Offer::kChoices},
    {.name = "database",
     .help = "The name of the database within the origin database",
     .group = kByParts},
    {.name = "origin-user",
     .aliases = "user",
     .help = "The username used to connect to the origin database",
     .group = kByParts},
    {.name = "origin-password",
     .aliases = "password",
     .help = "The password used to connect to the origin database",
     .group = kByParts,
     .secret = true},
    {.name = "origin-password-file",
     .help = "A file that holds the password; `-` reads it from standard input",
     .group = kByParts,
     .offer = Offer::kFiles},
    {.name = "access-client-id",
     .help = "The Client ID of the Access token to use when connecting to the origin database",
     .group = kByAccess},
    {.name = "access-client-secret",
     .help = "The Client Secret of the Access token to use when connecting to the origin database",
     .group = kByAccess,
     .secret = true},
    {.name = "caching-disabled",
     .kind = FlagKind::kBoolean,
     .help = "Disables the caching of SQL responses",
     .group = kCaching},
    {.name = "max-age",
     .kind = FlagKind::kNumber,
     .help = "Seconds that an answer is served from the cache, 0-3600 (default: 60); not together "
             "with --caching-disabled",
     .group = kCaching},
    {.name = "swr",
     .kind = FlagKind::kNumber,
     .help = "Seconds that the cache may serve an answer after it became stale (default: 15); not "
             "together with --caching-disabled",
     .group = kCaching},
    {.name = "service-id", .help = "The Workers VPC Service ID of the origin database"},
    {.name = "ca-certificate-id",
     .aliases = "ca-certificate-uuid",
     .help =
         "The CA certificate to check the origin's with: id of an uploaded one (`cert upload`)"},
    {.name = "mtls-certificate-id",
     .aliases = "mtls-certificate-uuid",
     .help = "The client certificate to show to the origin: id of an uploaded one"},
    {.name = "sslmode",
     .help = "TLS to the origin. MySQL's words are DISABLED, PREFERRED, REQUIRED, VERIFY_CA, "
             "VERIFY_IDENTITY (default: prefer on this machine, else require)",
     .choices = "disable|allow|prefer|require|verify-ca|verify-full|DISABLED|PREFERRED|REQUIRED|"
                "VERIFY_CA|VERIFY_IDENTITY",
     .offer = Offer::kChoices},
    {.name = "origin-connection-limit",
     .kind = FlagKind::kNumber,
     .help = "The most connections to the origin database at any time, 1-1000 (default: 20)"},
};

struct Conflict {
  std::string_view one;
  std::string_view other;
};

/// wrangler's, in its order; then ours.
constexpr Conflict kConflicts[] = {
    {"service-id", "connection-string"},
    {"origin-host", "connection-string"},
    {"origin-port", "connection-string"},
    {"database", "connection-string"},
    {"origin-user", "connection-string"},
    {"origin-password", "connection-string"},
    {"access-client-id", "connection-string"},
    {"access-client-secret", "connection-string"},
    {"service-id", "origin-host"},
    {"service-id", "origin-port"},
    {"origin-port", "access-client-id"},
    {"origin-port", "access-client-secret"},
    {"service-id", "access-client-id"},
    {"service-id", "access-client-secret"},
    {"origin-password-file", "connection-string"},
    {"origin-password-file", "origin-password"},
    {"connection-string-env", "connection-string"},
    {"service-id", "connection-string-env"},
    {"origin-host", "connection-string-env"},
    {"origin-port", "connection-string-env"},
    {"database", "connection-string-env"},
    {"origin-user", "connection-string-env"},
    {"origin-password", "connection-string-env"},
    {"origin-password-file", "connection-string-env"},
    {"access-client-id", "connection-string-env"},
    {"access-client-secret", "connection-string-env"},
};

core::Result<void> check_conflicts(const Arguments& args) {
  for (const Conflict& conflict : kConflicts) {
    if (args.given(conflict.one) && args.given(conflict.other)) {
      return core::usage(
          fmt::format("Arguments {} and {} are mutually exclusive", conflict.one, conflict.other),
          "Leave one of them out.");
    }
  }
  return {};
}

/// An empty value is not "not given": an update would silently leave out what was meant.
core::Result<void> refuse_empty(const Arguments& args, std::span<const std::string_view> flags) {
  for (const std::string_view flag : flags) {
    if (args.given(flag) && !args.text(flag)) {
      return core::usage(fmt::format("--{} must not be empty.", flag),
                         "Give it a value, or leave it out.");
    }
  }
  return {};
}

template <class T>
core::Result<void> set_integer(const Arguments& args, std::string_view flag, std::int64_t low,
                               std::int64_t high, std::optional<T>& into) {
  // A number flag that is given must be a number: an empty one is not "not given".
  if (!args.given(flag)) return {};
  auto value = core::parse_integer(args.text_or(flag, ""), fmt::format("--{}", flag), low, high);
  if (!value) return tl::unexpected(value.error());
  into = static_cast<T>(*value);
  return {};
}

core::Result<void> read_numbers(const Arguments& args, ConfigEdit& edit) {
  constexpr int kMaxInt = std::numeric_limits<int>::max();
  if (args.given("origin-port")) {
    auto port = core::parse_port(args.text_or("origin-port", ""), "--origin-port");
    if (!port) return tl::unexpected(port.error());
    edit.port = *port;
  }
  if (auto done = set_integer(args, "max-age", 0, core::kMaxMaxAge, edit.max_age); !done) {
    return done;
  }
  if (auto done = set_integer(args, "swr", 0, kMaxInt, edit.stale_while_revalidate); !done) {
    return done;
  }
  return set_integer(args, "origin-connection-limit", 1, core::kMaxOriginConnectionLimit,
                     edit.origin_connection_limit);
}

/// A path holds wherever the proxy runs, and is tried before it is stored. Empty: none any more.
core::Result<std::string> usable_path(std::string_view flag, const std::string& path) {
  if (path.empty()) return path;
  const std::string whole = std::filesystem::absolute(path).lexically_normal().string();
  if (::access(whole.c_str(), R_OK) != 0) {
    return core::fail(
        fmt::format("--{}: {} cannot be read: {}.", flag, whole, core::errno_text(errno)));
  }
  return whole;
}

core::Result<void> read_settings_flags(const Arguments& args, ConfigEdit& edit) {
  for (const core::Setting& setting : core::settings()) {
    if (!args.given(setting.flag)) continue;
    std::string value;
    for (const std::string& one : args.list(setting.flag)) {
      if (!value.empty()) value += '\n';
      value += one;
    }
    if (setting.kind == core::SettingKind::kPath) {
      auto path = usable_path(setting.flag, value);
      if (!path) return tl::unexpected(path.error());
      value = std::move(*path);
    }
    // Checked here, so that a bad value is wrong usage whatever the config is.
    core::LocalSettings scratch;
    if (auto fits = setting.set(scratch, value); !fits) {
      core::Error error = fits.error();
      error.exit = core::Exit::kUsage;
      if (error.message.starts_with(setting.flag)) error.message.insert(0, "--");
      return tl::unexpected(std::move(error));
    }
    edit.settings.emplace_back(&setting, std::move(value));
  }
  return {};
}

core::Result<void> take_connection_string(Context& context, const core::Secret& text,
                                          ConfigEdit& edit) {
  auto parsed = core::parse_connection_string(text.reveal());
  if (!parsed) return tl::unexpected(parsed.error());
  for (const std::string& warning : parsed->warnings) context.out().warn(warning);
  if (!parsed->ssl_root_certificate.empty() && parsed->ssl_root_certificate != "system") {
    edit.root_certificate = parsed->ssl_root_certificate;
  }
  edit.connection = std::move(*parsed);
  return {};
}

core::Result<void> read_connection_string(Context& context, ConfigEdit& edit) {
  auto text = connection_string_input(context);
  if (!text) return tl::unexpected(text.error());
  return *text ? take_connection_string(context, **text, edit) : core::Result<void>{};
}

core::Result<void> read_access(const Arguments& args, ConfigEdit& edit) {
  edit.access_client_id = args.text("access-client-id");
  if (auto secret = args.text("access-client-secret")) {
    edit.access_client_secret = core::Secret(std::move(*secret));
  }
  if (edit.access_client_id.has_value() != edit.access_client_secret.has_value()) {
    return core::usage("An Access Client ID and an Access Client Secret go together.",
                       "Give both --access-client-id and --access-client-secret.");
  }
  return {};
}

/// A connection string has a scheme of its own, which wins as in wrangler.
core::Result<void> read_scheme(Context& context, ConfigEdit& edit) {
  const auto scheme = context.args().text("origin-scheme");
  if (!scheme) return {};
  auto parsed = core::parse_scheme(*scheme);
  if (!parsed) return tl::unexpected(parsed.error());
  if (!edit.connection) {
    edit.scheme = *parsed;
  } else if (core::is_mysql(*parsed) != core::is_mysql(edit.connection->origin.scheme)) {
    context.out().warn(
        fmt::format("--origin-scheme {} is ignored: the connection string is for {}.", *scheme,
                    core::scheme_title(edit.connection->origin.scheme)));
  }
  return {};
}

constexpr std::string_view kInstead =
    "Alternatively, use --connection-string to provide all origin details at once.";

core::Result<void> check_host(const ConfigEdit& edit) {
  const bool wants_host = edit.port.has_value() || edit.access_client_id.has_value();
  if (wants_host && !edit.host) {
    return core::usage("Missing required option --origin-host.",
                       "Specify the hostname of the origin database, e.g. "
                       "--origin-host=database.example.com.");
  }
  return {};
}

core::Result<ConfigEdit> read_flags(Context& context) {
  const Arguments& args = context.args();
  if (auto fine = check_conflicts(args); !fine) return tl::unexpected(fine.error());
  constexpr std::string_view kChosen[] = {"origin-scheme", "sslmode"};
  if (auto fine = refuse_empty(args, kChosen); !fine) return tl::unexpected(fine.error());
  ConfigEdit edit;
  if (auto done = read_numbers(args, edit); !done) return tl::unexpected(done.error());
  if (auto done = read_settings_flags(args, edit); !done) return tl::unexpected(done.error());
  if (auto done = read_connection_string(context, edit); !done) {
    return tl::unexpected(done.error());
  }
  if (auto done = read_access(args, edit); !done) return tl::unexpected(done.error());
  if (auto done = read_scheme(context, edit); !done) return tl::unexpected(done.error());
  edit.host = args.text("origin-host");
  edit.database = args.text("database");
  edit.user = args.text("origin-user");
  edit.service_id = args.text("service-id");
  // Empty: no certificate any more.
  if (args.given("ca-certificate-id")) {
    edit.ca_certificate_id = args.text_or("ca-certificate-id", "");
  }
  if (args.given("mtls-certificate-id")) {
    edit.mtls_certificate_id = args.text_or("mtls-certificate-id", "");
  }
  edit.ssl_mode = args.text("sslmode");
  edit.caching_disabled = args.boolean("caching-disabled");
  auto password = password_input(context);
  if (!password) return tl::unexpected(password.error());
  edit.password = std::move(*password);
  return edit;
}

/// As in wrangler, an empty value counts as not given. Where something is missing then, it is that
/// value: `--connection-string "$URL"` of a variable that is not set.
core::Result<void> blame_empty(const Arguments& args) {
  constexpr std::string_view kSources[] = {
      "connection-string", "connection-string-env", "database",
      "origin-user",       "origin-password-file",  "origin-password"};
  for (const std::string_view flag : kSources) {
    if (!args.given(flag) || args.text(flag)) continue;
    const bool whole = flag == "connection-string";
    return core::usage(whole ? std::string("The connection string is empty.")
                             : fmt::format("--{} is empty.", flag),
                       "If the value comes from a variable of the shell: is that set?");
  }
  return {};
}

/// On a terminal, what is missing is asked for.
core::Result<void> ask_for_missing(Context& context, ConfigEdit& edit) {
  if (edit.connection || !context.may_ask()) return {};
  const bool nothing = !edit.host && !edit.database && !edit.user && !edit.password &&
                       !edit.service_id && !edit.access_client_id;
  if (nothing) {
    if (auto fine = blame_empty(context.args()); !fine) return fine;
    auto text = ask_secret(context.out(), "Connection string of the database (not shown)?");
    if (!text) return tl::unexpected(text.error());
    if (text->empty()) {
      return core::usage("No connection string was given.",
                         "Type or paste one; --connection-string-env NAME reads it from the "
                         "environment, `hyperdrive create --help` lists the other ways.");
    }
    return take_connection_string(context, *text, edit);
  }
  if (!edit.password && edit.user) {
    auto secret = ask_secret(context.out(), fmt::format("Password of {} (not shown)?", *edit.user));
    if (!secret) return tl::unexpected(secret.error());
    if (!secret->empty()) edit.password = std::move(*secret);
  }
  return {};
}

core::Result<void> check_complete(const Arguments& args, const ConfigEdit& edit) {
  if (edit.connection) return {};
  if (!edit.database || !edit.password || !edit.user) {
    if (auto fine = blame_empty(args); !fine) return fine;
  }
  if (!edit.database) {
    return core::usage(
        "Missing required option --database.",
        fmt::format("Specify the name of the database, e.g. --database=mydb. {}", kInstead));
  }
  if (!edit.password) {
    return core::usage(
        "Missing required option --origin-password.",
        fmt::format("Give it with --origin-password-file FILE, or on a terminal when asked. {}",
                    kInstead));
  }
  if (!edit.user) {
    return core::usage(
        "Missing required option --origin-user.",
        fmt::format("Specify the username for the origin database, e.g. --origin-user=myuser. {}",
                    kInstead));
  }
  if (auto fine = check_host(edit); !fine) return fine;
  if (!edit.host && !edit.service_id) {
    return core::usage("Missing required network origin options.",
                       "Provide the origin's host via --origin-host (and --origin-port), a Workers "
                       "VPC Service ID via --service-id, or use --connection-string to provide all "
                       "origin details at once.");
  }
  return {};
}

}  // namespace

std::span<const Flag> origin_flags() { return kFlags; }

core::Result<ConfigEdit> read_new_config(Context& context) {
  auto edit = read_flags(context);
  if (!edit) return edit;
  if (auto asked = ask_for_missing(context, *edit); !asked) return tl::unexpected(asked.error());
  if (auto whole = check_complete(context.args(), *edit); !whole)
    return tl::unexpected(whole.error());
  return edit;
}

core::Result<ConfigEdit> read_config_change(Context& context) {
  // A new config is told which of them it lacks; an update must not take "" for "unchanged".
  constexpr std::string_view kParts[] = {
      "connection-string",     "origin-host",         "database",   "origin-user",
      "origin-password",       "access-client-id",    "service-id", "access-client-secret",
      "connection-string-env", "origin-password-file"};
  if (auto fine = refuse_empty(context.args(), kParts); !fine) return tl::unexpected(fine.error());
  auto edit = read_flags(context);
  if (!edit) return edit;
  if (auto fine = check_host(*edit); !fine) return tl::unexpected(fine.error());
  return edit;
}

}  // namespace hyperdrive::cli
