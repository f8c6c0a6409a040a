#include "core/config/connection_string.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "core/config/percent.hpp"
#include "core/config/text.hpp"

namespace hyperdrive::core {
namespace {

// No message here repeats any part of the text: what looks like a host or a port may be the tail of
// a password with an unescaped '/' or '#'.

constexpr std::string_view kExample = "postgresql://user:password@db.example.com:5432/database";

/// A connection string cut at its outer delimiters, nothing decoded.
struct Parts {
  std::string scheme;
  std::string_view user;
  std::string_view password;
  std::string_view host_and_port;
  std::string_view path;  ///< without its first '/'
  std::string_view query;
  bool has_credentials = false;
  bool has_path = false;
  bool has_fragment = false;
  char suspect = 0;  ///< the raw character that probably belongs to the password
};

/// WHATWG URL: C0 controls and blanks around go, tab and line ends go everywhere.
std::string cleaned(std::string_view text) {
  const auto outer = [](char c) { return static_cast<unsigned char>(c) <= 0x20; };
  while (!text.empty() && outer(text.front())) text.remove_prefix(1);
  while (!text.empty() && outer(text.back())) text.remove_suffix(1);
  std::string result(text);
  std::erase_if(result, [](char c) { return c == '\t' || c == '\n' || c == '\r'; });
  return result;
}

std::size_t scheme_length(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !letter(text[0])) return 0;
  std::size_t length = 1;
  while (length < text.size() &&
         (letter(text[length]) || (text[length] >= '0' && text[length] <= '9') ||
          text[length] == '+' || text[length] == '-' || text[length] == '.'))
    ++length;
  return length < text.size() && text[length] == ':' ? length : 0;
}

tl::unexpected<Error> not_a_url(std::string_view text) {
  if (!text.empty() && (text[0] == '"' || text[0] == '\''))
    return usage("The connection string begins with a quotation mark.",
                 "Leave the quotation marks out of the value itself.");
  if (text.find('=') != std::string_view::npos && text.find("://") == std::string_view::npos)
    return usage("The connection string is not a URL (key=value pairs are not read).",
                 fmt::format("Write it as {}.", kExample));
  return usage("The connection string is not a URL.", fmt::format("Write it as {}.", kExample));
}

tl::unexpected<Error> wrong_scheme(std::string_view scheme) {
  if (scheme == "jdbc")
    return usage("A JDBC URL is not a connection string.",
                 fmt::format("Leave out 'jdbc:' and write it as {}.", kExample));
  return usage("Only PostgreSQL-compatible or MySQL-compatible databases are currently supported.",
               fmt::format("It begins with postgres:, postgresql: or mysql:, as in {}.", kExample));
}

tl::unexpected<Error> unescaped(char c) {
  return usage(
      fmt::format("A '{}' in the user or password of a connection string ends that part.", c),
      fmt::format("Write '{}' as %{:02X}.", c, static_cast<unsigned char>(c)));
}

tl::unexpected<Error> malformed_escape(std::string_view what) {
  return usage(fmt::format("The {} in the connection string has a '%' that is not followed by two "
                           "hexadecimal digits of UTF-8 text.",
                           what),
               "Write '%' itself as %25.");
}

void cut_credentials(std::string_view authority, Parts& parts) {
  const std::size_t at = authority.rfind('@');
  parts.host_and_port = authority;
  if (at == std::string_view::npos) return;
  parts.has_credentials = true;
  parts.host_and_port = authority.substr(at + 1);
  const std::string_view credentials = authority.substr(0, at);
  const std::size_t colon = std::min(credentials.find(':'), credentials.size());
  parts.user = credentials.substr(0, colon);
  parts.password = credentials.substr(std::min(colon + 1, credentials.size()));
}

Result<Parts> cut(std::string_view text) {
  const std::size_t length = scheme_length(text);
  if (length == 0) return not_a_url(text);
  Parts parts;
  parts.scheme = std::string(text.substr(0, length));
  std::transform(parts.scheme.begin(), parts.scheme.end(), parts.scheme.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (!parts.scheme.starts_with("postgres") && !parts.scheme.starts_with("mysql"))
    return wrong_scheme(parts.scheme);
  text.remove_prefix(length + 1);
  if (!text.starts_with("//"))
    return usage("The connection string has no '//' after its scheme.",
                 fmt::format("Write it as {}.", kExample));
  text.remove_prefix(2);

  const std::size_t end = std::min(text.find_first_of("/?#"), text.size());
  cut_credentials(text.substr(0, end), parts);
  std::string_view rest = text.substr(end);
  if (rest.find('@') != std::string_view::npos) parts.suspect = rest[0];
  const std::size_t hash = std::min(rest.find('#'), rest.size());
  parts.has_fragment = hash < rest.size();
  rest = rest.substr(0, hash);
  const std::size_t question = std::min(rest.find('?'), rest.size());
  parts.query = rest.substr(std::min(question + 1, rest.size()));
  rest = rest.substr(0, question);
  parts.has_path = !rest.empty();
  parts.path = rest.substr(std::min<std::size_t>(1, rest.size()));
  return parts;
}

/// WHATWG's opaque host: C0 controls and bytes above 0x7e are escaped, the rest stays as written.
std::string opaque_host(std::string_view host) {
  std::string result;
  for (const char c : host) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e)
      result += fmt::format("%{:02X}", byte);
    else
      result.push_back(c);
  }
  return result;
}

tl::unexpected<Error> unix_socket() {
  return usage("Unix sockets are not supported: the connection string names a path as its host.",
               "Use a host name or an IP address; for a local server 127.0.0.1.");
}

Result<std::string> read_host(std::string_view& text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    const std::string inner(text.substr(1, close == std::string_view::npos ? 0 : close - 1));
    in6_addr address;
    if (close == std::string_view::npos || ::inet_pton(AF_INET6, inner.c_str(), &address) != 1)
      return usage("The host in the connection string is not an IPv6 address in brackets.",
                   "Write it as [2001:db8::1].");
    text.remove_prefix(close + 1);
    return inner;
  }
  if (text.find(',') != std::string_view::npos)
    return usage("A connection string with several hosts is not supported.",
                 "Give one host; make a config for each of them if you need all.");
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view host = text.substr(0, colon);
  text.remove_prefix(colon);
  if (host.empty())
    return usage(
        "You must provide a hostname or IP address in your connection string - e.g. "
        "'user:password@database-hostname.example.com:5432/databasename'.");
  if (host.find_first_of(std::string_view("\0 <>[\\]^|", 9)) != std::string_view::npos)
    return usage("The host in the connection string has a character that no host name has.",
                 "Escape special characters of the password: ' ' as %20, '<' as %3C, '|' as %7C.");
  if (host.starts_with("%2F") || host.starts_with("%2f")) return unix_socket();
  return opaque_host(host);
}

Result<void> read_address(const Parts& parts, Origin& origin) {
  std::string_view text = parts.host_and_port;
  auto host = read_host(text);
  if (!host) return tl::unexpected(host.error());
  origin.host = *host;
  if (text.starts_with(':')) text.remove_prefix(1);
  if (text.empty()) {
    if (!origin.scheme_text.empty())
      return usage(
          "You must provide a port number - e.g. "
          "'user:password@database.example.com:port/databasename'.");
    origin.port = default_port(origin.scheme);
    return {};
  }
  if (!parts.has_credentials && parts.suspect != 0) return unescaped(parts.suspect);
  const auto port = parse_port(text, "port");
  if (!port || text.find_first_not_of("0123456789") != std::string_view::npos)
    return usage("The port in the connection string is not a number from 1 to 65535.",
                 fmt::format("Write it as {}; a ':' in a host only within [ ].", kExample));
  origin.port = *port;
  return {};
}

Result<void> read_names(const Parts& parts, Origin& origin) {
  if (!parts.has_path || parts.path.empty()) {
    if (parts.suspect == '#' || parts.suspect == '?') return unescaped(parts.suspect);
    return usage(
        "You must provide a database name as the path component - e.g. "
        "example.com:port/databasename.");
  }
  if (!parts.has_credentials && parts.suspect != 0) return unescaped(parts.suspect);
  if (parts.user.empty())
    return usage(
        "You must provide a username - e.g. "
        "'user:password@database.example.com:port/databasename'.");
  if (parts.password.empty())
    return usage(
        "You must provide a password - e.g. "
        "'user:password@database.example.com:port/databasename'.",
        "To keep it out of the command line: --connection-string-env NAME, "
        "--connection-string - or --origin-password-file FILE.");
  const auto user = percent_decode(parts.user);
  if (!user) return malformed_escape("user");
  auto password = percent_decode(parts.password);
  if (!password) return malformed_escape("password");
  const auto database = percent_decode(parts.path);
  if (!database) return malformed_escape("database name");
  origin.user = *user;
  origin.password = Secret(std::move(*password));
  origin.database = *database;
  return {};
}

Result<void> read_timeout(std::string_view value, ConnectionString& result) {
  const auto seconds = parse_integer(value, "connect_timeout in the connection string", 0, 3600);
  if (!seconds) return tl::unexpected(seconds.error());
  // libpq: zero waits without end; here the default holds.
  if (*seconds > 0) result.connect_timeout = std::chrono::seconds(*seconds);
  return {};
}

/// What may be shown. Anything else could be the rest of a second URL, its password included.
bool is_word(std::string_view text) {
  constexpr std::size_t kLongest = 40;
  return text.size() <= kLongest && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
         });
}

Result<void> read_parameter(const std::string& name, const std::string& value,
                            ConnectionString& result) {
  const bool shows_value = name == "sslmode" || name == "ssl-mode" || name == "connect_timeout";
  if (shows_value && !is_word(value)) {
    return usage(fmt::format("The {} of the connection string is not a word.", name),
                 "Is this one connection string, and is '&' between its parameters?");
  }
  if (name == "sslmode" || name == "ssl-mode") {
    // node-postgres's word for TLS without a check of the certificate.
    const std::string_view word = value == "no-verify" ? "require" : std::string_view(value);
    auto mode = parse_ssl_mode(word, result.origin.scheme);
    if (!mode) return tl::unexpected(mode.error());
    result.ssl_mode = *mode;
    return {};
  }
  if (name == "connect_timeout") return read_timeout(value, result);
  if (name == "sslrootcert")
    result.ssl_root_certificate = value;
  else if (name == "application_name")
    result.origin.application_name = value;
  else if ((name == "host" || name == "socket") && value.starts_with('/'))
    return unix_socket();
  else
    result.warnings.push_back(
        is_word(name)
            ? fmt::format("The parameter '{}' of the connection string is not used.", name)
            : "What follows '?' or '&' in the connection string is not used.");
  return {};
}

Result<void> read_query(std::string_view query, ConnectionString& result) {
  while (!query.empty()) {
    const std::size_t next = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, next);
    query.remove_prefix(std::min(next + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto name = percent_decode(pair.substr(0, equals));
    const auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value) return malformed_escape("query");
    if (auto read = read_parameter(*name, *value, result); !read) return read;
  }
  return {};
}

std::string bracketed(std::string_view host) {
  return host.find(':') == std::string_view::npos ? std::string(host) : fmt::format("[{}]", host);
}

}  // namespace

Result<ConnectionString> parse_connection_string(std::string_view original) {
  const Secret text(cleaned(original));
  if (text.empty())
    return usage(
        "The connection string is empty.",
        fmt::format("Write it as {}. If it comes from a variable: is that set?", kExample));
  if (!is_utf8(text.reveal())) return usage("The connection string is not UTF-8 text.");
  auto parts = cut(text.reveal());
  if (!parts) return tl::unexpected(parts.error());

  ConnectionString result;
  if (auto scheme = parse_scheme(parts->scheme)) {
    result.origin.scheme = *scheme;
  } else {
    result.origin.scheme =
        parts->scheme.starts_with("mysql") ? Scheme::kMysql : Scheme::kPostgresql;
    result.origin.scheme_text = parts->scheme;
    result.warnings.push_back(fmt::format("The scheme '{}' is taken for {}.", parts->scheme,
                                          scheme_title(result.origin.scheme)));
  }
  if (parts->host_and_port.empty() && parts->query.find("host=") != std::string_view::npos)
    return unix_socket();
  if (auto read = read_address(*parts, result.origin); !read) return tl::unexpected(read.error());
  if (auto read = read_names(*parts, result.origin); !read) return tl::unexpected(read.error());
  if (auto read = read_query(parts->query, result); !read) return tl::unexpected(read.error());
  if (parts->path.find('@') != std::string_view::npos)
    result.warnings.push_back(
        "The database name contains '@'. If it is part of the password, write '/' there as %2F.");
  if (parts->has_fragment)
    result.warnings.push_back(
        "What follows '#' in the connection string is not used. "
        "Write '#' itself as %23.");
  return result;
}

Secret connection_string(const Origin& origin) {
  return Secret(fmt::format("{}://{}:{}@{}:{}/{}", scheme_name(origin), percent_encode(origin.user),
                            percent_encode(origin.password.reveal()), bracketed(origin.host),
                            origin.port, percent_encode(origin.database)));
}

namespace {

std::string local_host(const Config& config) {
  const std::string& listen = config.local.listen;
  const bool anywhere = listen.empty() || listen == "0.0.0.0" || listen == "::" || listen == "*";
  return anywhere ? "127.0.0.1" : bracketed(listen);
}

std::string_view local_scheme(const Config& config) {
  return is_mysql(config.origin.scheme) ? "mysql" : "postgresql";
}

}  // namespace

Secret local_connection_string(const Config& config) {
  return Secret(fmt::format(
      "{}://{}:{}@{}:{}/{}", local_scheme(config), percent_encode(config.local.local_user),
      percent_encode(config.local.local_password.reveal()), local_host(config),
      config.local.local_port, percent_encode(config.origin.database)));
}

std::string local_address(const Config& config) {
  return fmt::format("{}://{}:{}/{}", local_scheme(config), local_host(config),
                     config.local.local_port, percent_encode(config.origin.database));
}

}  // namespace hyperdrive::core
