// Builders: each appends one whole message (or, where said, its beginning) to the caller's buffer.
//
// Names and texts must hold no zero byte: they come from parsed messages, from the config, or from
// this program. Strings longer than a message may be (1 GB) are the caller's fault.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "proxy/wire/postgres/backend.hpp"
#include "proxy/wire/postgres/frontend.hpp"

namespace hyperdrive::proxy::wire::postgres {

// --- to the client -------------------------------------------------------------------------------

/// ErrorResponse when `error.severity` is ERROR, FATAL or PANIC. Empty detail and hint are left
/// out.
void append_error_response(std::string& out, const ErrorFields& error);
void append_notice_response(std::string& out, const ErrorFields& notice);
void append_authentication(std::string& out, Authentication kind, Bytes data = {});
void append_authentication_sasl(std::string& out, std::initializer_list<Bytes> mechanisms);
void append_backend_key_data(std::string& out, std::uint32_t process_id, Bytes key);
void append_parameter_status(std::string& out, Bytes name, Bytes value);
void append_ready_for_query(std::string& out, TransactionStatus status);
void append_negotiate_protocol_version(std::string& out, Version newest,
                                       std::span<const Bytes> unknown_options);
void append_row_description(std::string& out, std::span<const Column> columns);
/// A RowDescription body told anew with the formats that a Bind asked for.
void append_row_description(std::string& out, const Columns& columns, const Formats& formats);
void append_parameter_description(std::string& out, std::span<const std::uint32_t> types);
void append_data_row(std::string& out, std::span<const std::optional<Bytes>> values);
void append_command_complete(std::string& out, Bytes tag);
/// ParseComplete, BindComplete, CloseComplete, NoData, EmptyQueryResponse, PortalSuspended,
/// CopyDone: messages without a body.
void append_empty(std::string& out, Backend type);

// --- to the origin -------------------------------------------------------------------------------

using NameValue = std::pair<Bytes, Bytes>;
void append_startup(std::string& out, Version version, std::span<const NameValue> parameters);
void append_ssl_request(std::string& out);
void append_cancel_request(std::string& out, std::uint32_t process_id, Bytes key);
/// Password, md5 hash: with a terminating zero.
void append_password(std::string& out, Bytes password);
void append_sasl_initial_response(std::string& out, Bytes mechanism, Bytes data);
void append_sasl_response(std::string& out, Bytes data);
void append_query(std::string& out, Bytes text);
void append_parse(std::string& out, Bytes name, Bytes text, std::span<const std::uint32_t> types);
void append_parse(std::string& out, Bytes name, Bytes text, const Oids& types);
struct BindArguments {
  Bytes portal;
  Bytes statement;
  std::span<const Format> parameter_formats;
  std::span<const std::optional<Bytes>> parameters;
  std::span<const Format> result_formats;
};
void append_bind(std::string& out, const BindArguments& bind);
void append_describe(std::string& out, Target target, Bytes name);
void append_close(std::string& out, Target target, Bytes name);
void append_execute(std::string& out, Bytes portal, std::int32_t max_rows);
/// Sync, Flush, Terminate, CopyDone.
void append_empty(std::string& out, Frontend type);
void append_copy_fail(std::string& out, Bytes message);

// --- under another statement name ---------------------------------------------------------------

/// The beginning of a Bind (header and both names) that asks for `statement` instead of
/// `names.statement`; the body from `names.size` on is then forwarded as it came, in slices.
/// `header`: the header of the client's message.
void append_bind_renamed(std::string& out, const Header& header, const BindNames& names,
                         Bytes statement);

}  // namespace hyperdrive::proxy::wire::postgres
