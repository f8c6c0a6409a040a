#include "proxy/wire/postgres/build.hpp"

namespace hyperdrive::proxy::wire::postgres {
namespace {

// Writes one message and sets its length when it goes out of scope.
class Message {
 public:
  template <class Type>
  Message(std::string& out, Type type) : out_(out) {
    out_.push_back(static_cast<char>(type));
    start_ = out_.size();
    out_.append(4, '\0');
  }
  /// A packet without a type byte: startup, and the requests in its place.
  explicit Message(std::string& out) : out_(out), start_(out.size()) { out_.append(4, '\0'); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() { store_u32(out_.data() + start_, static_cast<std::uint32_t>(out_.size() - start_)); }

  Message& u8(char value) {
    out_.push_back(value);
    return *this;
  }
  Message& u16(std::size_t value) {
    char bytes[2];
    store_u16(bytes, static_cast<std::uint16_t>(value));
    out_.append(bytes, sizeof bytes);
    return *this;
  }
  Message& u32(std::uint32_t value) {
    char bytes[4];
    store_u32(bytes, value);
    out_.append(bytes, sizeof bytes);
    return *this;
  }
  Message& bytes(Bytes value) {
    out_.append(value);
    return *this;
  }
  Message& cstring(Bytes value) {
    out_.append(value).push_back('\0');
    return *this;
  }
  Message& value(const std::optional<Bytes>& value) {
    if (!value) return u32(0xffffffff);
    return u32(static_cast<std::uint32_t>(value->size())).bytes(*value);
  }

 private:
  std::string& out_;
  std::size_t start_;
};

void append_fields(std::string& out, Backend type, const ErrorFields& fields) {
  Message message(out, type);
  const auto field = [&message](Field code, Bytes value) {
    message.u8(static_cast<char>(code)).cstring(value);
  };
  field(Field::kSeverityLocalized, fields.severity);
  field(Field::kSeverity, fields.severity);
  field(Field::kSqlstate, fields.sqlstate);
  field(Field::kMessage, fields.message);
  if (!fields.detail.empty()) field(Field::kDetail, fields.detail);
  if (!fields.hint.empty()) field(Field::kHint, fields.hint);
  if (!fields.routine.empty()) field(Field::kRoutine, fields.routine);
  message.u8('\0');
}

void append_column(Message& message, const Column& column) {
  message.cstring(column.name)
      .u32(column.table_oid)
      .u16(static_cast<std::uint16_t>(column.attribute));
  message.u32(column.type_oid).u16(static_cast<std::uint16_t>(column.type_size));
  message.u32(static_cast<std::uint32_t>(column.type_modifier));
  message.u16(static_cast<std::uint16_t>(column.format));
}

void append_formats(Message& message, std::span<const Format> formats) {
  message.u16(formats.size());
  for (const Format format : formats) message.u16(static_cast<std::uint16_t>(format));
}

}  // namespace

void append_error_response(std::string& out, const ErrorFields& error) {
  append_fields(out, Backend::kErrorResponse, error);
}

void append_notice_response(std::string& out, const ErrorFields& notice) {
  append_fields(out, Backend::kNoticeResponse, notice);
}

void append_authentication(std::string& out, Authentication kind, Bytes data) {
  Message(out, Backend::kAuthentication).u32(static_cast<std::uint32_t>(kind)).bytes(data);
}

void append_authentication_sasl(std::string& out, std::initializer_list<Bytes> mechanisms) {
  Message message(out, Backend::kAuthentication);
  message.u32(static_cast<std::uint32_t>(Authentication::kSasl));
  for (const Bytes mechanism : mechanisms) message.cstring(mechanism);
  message.u8('\0');
}

void append_backend_key_data(std::string& out, std::uint32_t process_id, Bytes key) {
  Message(out, Backend::kBackendKeyData).u32(process_id).bytes(key);
}

void append_parameter_status(std::string& out, Bytes name, Bytes value) {
  Message(out, Backend::kParameterStatus).cstring(name).cstring(value);
}

void append_ready_for_query(std::string& out, TransactionStatus status) {
  Message(out, Backend::kReadyForQuery).u8(static_cast<char>(status));
}

void append_negotiate_protocol_version(std::string& out, Version newest,
                                       std::span<const Bytes> unknown_options) {
  Message message(out, Backend::kNegotiateProtocolVersion);
  // The page says "newest minor version"; servers send, and libpq expects, the whole version.
  message.u32(newest.packed()).u32(static_cast<std::uint32_t>(unknown_options.size()));
  for (const Bytes option : unknown_options) message.cstring(option);
}

void append_row_description(std::string& out, std::span<const Column> columns) {
  Message message(out, Backend::kRowDescription);
  message.u16(columns.size());
  for (const Column& column : columns) append_column(message, column);
}

void append_row_description(std::string& out, const Columns& columns, const Formats& formats) {
  Message message(out, Backend::kRowDescription);
  message.u16(columns.size());
  std::size_t index = 0;
  for (Column column : columns) {
    column.format = format_of(formats, index++);
    append_column(message, column);
  }
}

void append_parameter_description(std::string& out, std::span<const std::uint32_t> types) {
  Message message(out, Backend::kParameterDescription);
  message.u16(types.size());
  for (const std::uint32_t type : types) message.u32(type);
}

void append_data_row(std::string& out, std::span<const std::optional<Bytes>> values) {
  Message message(out, Backend::kDataRow);
  message.u16(values.size());
  for (const auto& value : values) message.value(value);
}

void append_command_complete(std::string& out, Bytes tag) {
  Message(out, Backend::kCommandComplete).cstring(tag);
}

void append_empty(std::string& out, Backend type) { Message(out, type); }
void append_empty(std::string& out, Frontend type) { Message(out, type); }

void append_startup(std::string& out, Version version, std::span<const NameValue> parameters) {
  Message message(out);
  message.u32(version.packed());
  for (const auto& [name, value] : parameters) message.cstring(name).cstring(value);
  message.u8('\0');
}

void append_ssl_request(std::string& out) {
  Message(out).u32(Version{kRequestMajor, kSslRequestMinor}.packed());
}

void append_cancel_request(std::string& out, std::uint32_t process_id, Bytes key) {
  Message(out).u32(Version{kRequestMajor, kCancelRequestMinor}.packed()).u32(process_id).bytes(key);
}

void append_password(std::string& out, Bytes password) {
  Message(out, Frontend::kPassword).cstring(password);
}

void append_sasl_initial_response(std::string& out, Bytes mechanism, Bytes data) {
  Message(out, Frontend::kPassword).cstring(mechanism).value(data);
}

void append_sasl_response(std::string& out, Bytes data) {
  Message(out, Frontend::kPassword).bytes(data);
}

void append_query(std::string& out, Bytes text) { Message(out, Frontend::kQuery).cstring(text); }

void append_parse(std::string& out, Bytes name, Bytes text, std::span<const std::uint32_t> types) {
  Message message(out, Frontend::kParse);
  message.cstring(name).cstring(text).u16(types.size());
  for (const std::uint32_t type : types) message.u32(type);
}

void append_parse(std::string& out, Bytes name, Bytes text, const Oids& types) {
  Message(out, Frontend::kParse).cstring(name).cstring(text).u16(types.size()).bytes(types.raw());
}

void append_bind(std::string& out, const BindArguments& bind) {
  Message message(out, Frontend::kBind);
  message.cstring(bind.portal).cstring(bind.statement);
  append_formats(message, bind.parameter_formats);
  message.u16(bind.parameters.size());
  for (const auto& value : bind.parameters) message.value(value);
  append_formats(message, bind.result_formats);
}

void append_describe(std::string& out, Target target, Bytes name) {
  Message(out, Frontend::kDescribe).u8(static_cast<char>(target)).cstring(name);
}

void append_close(std::string& out, Target target, Bytes name) {
  Message(out, Frontend::kClose).u8(static_cast<char>(target)).cstring(name);
}

void append_execute(std::string& out, Bytes portal, std::int32_t max_rows) {
  Message(out, Frontend::kExecute).cstring(portal).u32(static_cast<std::uint32_t>(max_rows));
}

void append_copy_fail(std::string& out, Bytes message) {
  Message(out, Frontend::kCopyFail).cstring(message);
}

void append_bind_renamed(std::string& out, const Header& header, const BindNames& names,
                         Bytes statement) {
  const std::size_t length = header.length - names.statement.size() + statement.size();
  const std::size_t start = out.size();
  out.push_back(header.type);
  out.append(4, '\0');
  store_u32(out.data() + start + 1, static_cast<std::uint32_t>(length));
  out.append(names.portal).push_back('\0');
  out.append(statement).push_back('\0');
}

}  // namespace hyperdrive::proxy::wire::postgres
