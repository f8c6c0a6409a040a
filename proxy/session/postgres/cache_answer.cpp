#include "proxy/session/postgres/cache_answer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/wire/postgres/build.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Backend;

// --- reading
// ----------------------------------------------------------------------------------------

void AnswerReader::read(net::Bytes bytes) {
  while (!bytes.empty()) {
    if (left_ == 0) {
      const std::size_t take = std::min(bytes.size(), pg::kHeaderSize - header_.size());
      header_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (header_.size() < pg::kHeaderSize) return;
      begin_message();
      if (left_ > 0) continue;
    } else {
      const std::size_t take = std::min(bytes.size(), left_);
      const net::Bytes part = bytes.substr(0, take);
      if (type_ == static_cast<char>(Backend::kDataRow))
        rows_.append(part);
      else
        body_.append(part);
      bytes.remove_prefix(take);
      left_ -= take;
      if (left_ > 0) return;
    }
    end_message();
  }
}

void AnswerReader::begin_message() {
  const auto [status, header] = pg::read_header(header_);
  type_ = header.type;
  left_ = status == pg::ReadStatus::kOk ? header.body_size() : 0;
  clean_ = clean_ && status == pg::ReadStatus::kOk;
  if (type_ == static_cast<char>(Backend::kDataRow)) {
    rows_.append(header_);
    ++row_count_;
  } else {
    body_ = header_;
  }
}

void AnswerReader::end_message() {
  header_.clear();
  switch (static_cast<Backend>(type_)) {
    case Backend::kDataRow:
    case Backend::kParseComplete:
    case Backend::kBindComplete:
    case Backend::kReadyForQuery:
      break;
    case Backend::kParameterDescription:
      parameters_ = std::move(body_);
      break;
    case Backend::kNoData:
    case Backend::kRowDescription:
      // The one right behind the parameters describes the statement.
      if (!parameters_.empty() && statement_columns_.empty())
        statement_columns_ = std::move(body_);
      else
        columns_ = std::move(body_);
      break;
    case Backend::kCommandComplete:
      clean_ = clean_ && command_complete_.empty();
      command_complete_ = std::move(body_);
      break;
    default:
      clean_ = false;
      break;
  }
  body_.clear();
}

// --- what is kept
// -----------------------------------------------------------------------------------

namespace {

std::uint64_t load(net::Bytes bytes, std::size_t at) {
  std::uint64_t value = 0;
  if (bytes.size() >= at + sizeof value) std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

void append(std::string& out, std::uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

net::Bytes body_of(net::Bytes message) {
  return message.size() < pg::kHeaderSize ? net::Bytes{} : message.substr(pg::kHeaderSize);
}

}  // namespace

std::string result_head(std::uint64_t shape, net::Bytes columns) {
  std::string head;
  append(head, shape);
  head += columns;
  return head;
}

KeptResult kept_result(const cache::Entry& entry) {
  const net::Bytes head = entry.head();
  return {load(head, 0),
          head.size() > sizeof(std::uint64_t) ? head.substr(sizeof(std::uint64_t)) : net::Bytes{}};
}

std::string description_head(const Shape& shape) {
  std::string head;
  append(head, shape.parameters);
  append(head, shape.rows);
  return head;
}

Shape kept_description(const cache::Entry& entry) {
  return {load(entry.head(), 0), load(entry.head(), sizeof(std::uint64_t))};
}

std::uint64_t shape_of_columns(net::Bytes message) {
  if (message.empty()) return 0;
  if (message[0] == static_cast<char>(Backend::kNoData)) return kNoRows;
  return rows_shape(body_of(message));
}

std::uint64_t shape_of_parameters(net::Bytes message) { return parameters_shape(body_of(message)); }

// --- serving
// ----------------------------------------------------------------------------------------

bool can_serve(const GroupShape& shape, const cache::Entry* result, const cache::Entry* description,
               const Shape& told) {
  if (shape.describes_statement && description == nullptr) return false;
  if (!shape.answers_rows()) return true;
  if (result == nullptr) return false;
  const KeptResult kept = kept_result(*result);
  const bool tells_columns = shape.describes_portal || shape.kind == GroupShape::Kind::kQuery;
  if (tells_columns) return !kept.columns.empty();
  // The client decodes by what it has been told: rows of another shape must not reach it.
  std::uint64_t known = told.rows;
  if (shape.describes_statement) known = kept_description(*description).rows;
  return known == 0 || known == kept.shape;
}

std::size_t serve(net::Stream& stream, std::string& scratch, const GroupShape& shape,
                  const cache::Entry* result, const cache::Entry* description) {
  scratch.clear();
  if (shape.parses) pg::append_empty(scratch, Backend::kParseComplete);
  if (shape.describes_statement) {
    description->rows([&](net::Bytes piece) { scratch += piece; });
  }
  std::size_t rows = 0;
  if (shape.answers_rows()) {
    if (shape.kind == GroupShape::Kind::kExecute) pg::append_empty(scratch, Backend::kBindComplete);
    if (shape.describes_portal || shape.kind == GroupShape::Kind::kQuery) {
      scratch += kept_result(*result).columns;
    }
    rows = result->rows_size();
    // Small answers go out in one piece; long ones are not copied twice.
    constexpr std::size_t kSmall = 8 * 1024;
    if (rows <= kSmall) {
      result->rows([&](net::Bytes piece) { scratch += piece; });
    } else {
      stream.write(scratch);
      rows += scratch.size();
      scratch.clear();
      result->rows([&](net::Bytes piece) { stream.write(piece); });
    }
    if (rows <= kSmall) rows = 0;
    scratch += result->tail();
  }
  if (shape.syncs) pg::append_ready_for_query(scratch, pg::TransactionStatus::kIdle);
  stream.write(scratch);
  const std::size_t bytes = rows + scratch.size();
  scratch.clear();
  return bytes;
}

}  // namespace hyperdrive::proxy::session::postgres
