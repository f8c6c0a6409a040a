// What clients send, as views over the bytes of one message's body (the header taken off).
//
// Every parse_* answers nothing when the body is not exactly such a message: Postgres's own answer
// is then 08P01 "invalid message format". Nothing is copied or allocated except the list of startup
// parameters. Pure functions, any thread.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "proxy/wire/postgres/header.hpp"
#include "proxy/wire/postgres/list.hpp"

namespace hyperdrive::proxy::wire::postgres {

// --- before the first message with a type -------------------------------------------------------

struct StartupParameters {
  Version version;
  std::vector<std::pair<Bytes, Bytes>> values;  ///< in the order sent, `_pq_.` options left out
  std::vector<Bytes> protocol_options;          ///< names that start with `_pq_.`

  /// The last one of that name counts, as in Postgres; empty when absent.
  Bytes get(Bytes name) const;
  const Bytes* find(Bytes name) const;  ///< likewise; null when absent
};

struct CancelRequest {
  std::uint32_t process_id = 0;
  Bytes key;  ///< 4 to 256 bytes
};

struct StartupRead {
  enum class Kind {
    kNeedMore,
    kNonsense,            ///< not a startup packet: a length out of bounds
    kBadLayout,           ///< parameters that do not end as they should
    kUnsupportedVersion,  ///< neither of major version 3 nor a request; `startup.version` is set
    kDirectTls,           ///< a TLS handshake begins here; nothing is used up
    kSslRequest,
    kGssEncRequest,
    kCancelRequest,
    kStartup,
  } kind;
  std::size_t size = 0;  ///< bytes used up
  StartupParameters startup;
  CancelRequest cancel;  ///< without a key: no such key can be
};

StartupRead read_startup(Bytes bytes);

/// The version that both sides will speak, and whether the client must be told so by a
/// NegotiateProtocolVersion before authentication (a minor above ours, or unknown `_pq_.` options).
struct Negotiation {
  Version version;
  bool tell_client = false;
};
Negotiation negotiate(const StartupParameters& startup);

// --- messages ------------------------------------------------------------------------------------

struct Query {
  Bytes text;
};
struct Parse {
  Bytes name;
  Bytes text;
  Oids types;
};
struct Bind {
  Bytes portal;
  Bytes statement;
  Formats parameter_formats;  ///< none: all text; one: for all; else one each
  Values parameters;
  Formats result_formats;  ///< likewise
};
/// Describe and Close.
struct Named {
  Target target;
  Bytes name;
};
struct Execute {
  Bytes portal;
  std::int32_t max_rows = 0;  ///< 0 or less: all
};
struct SaslInitialResponse {
  Bytes mechanism;
  std::optional<Bytes> data;
};

std::optional<Query> parse_query(Bytes body);
std::optional<Parse> parse_parse(Bytes body);
std::optional<Bind> parse_bind(Bytes body);
std::optional<Named> parse_describe(Bytes body);
std::optional<Named> parse_close(Bytes body);
std::optional<Execute> parse_execute(Bytes body);
std::optional<SaslInitialResponse> parse_sasl_initial_response(Bytes body);
std::optional<Bytes> parse_password(Bytes body);

/// The two names at the beginning of a Bind whose rest may not have arrived yet: nothing until both
/// zeros are there. `size`: bytes that the names take up, zeros included.
struct BindNames {
  Bytes portal;
  Bytes statement;
  std::size_t size = 0;
};
std::optional<BindNames> peek_bind_names(Bytes body_so_far);

/// The format of parameter or column `index` by the rule of Bind: none all text, one for all.
Format format_of(const Formats& formats, std::size_t index);

}  // namespace hyperdrive::proxy::wire::postgres
