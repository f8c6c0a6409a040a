// Answers in pieces: taken apart as they come from the origin, put together as they go to a client.
//
// What the store keeps of a result:       head = shape of the rows (8 bytes) + RowDescription
// message
//                                         rows = DataRow messages, tail = CommandComplete message
// and of a statement's description:       head = shapes of parameters and rows (16 bytes)
//                                         rows = ParameterDescription + RowDescription or NoData
// A result that came without a RowDescription (warm paths of asyncpg, pgJDBC …) is kept without
// one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/cache/cache.hpp"
#include "proxy/net/stream.hpp"
#include "proxy/session/postgres/cache_shape.hpp"
#include "proxy/session/postgres/statements.hpp"

namespace hyperdrive::proxy::session::postgres {

/// Reads one group's answer from slices of any size.
class AnswerReader {
 public:
  explicit AnswerReader(cache::Capture rows) : rows_(std::move(rows)) {}

  void read(net::Bytes bytes);

  /// Nothing in it that forbids keeping it: no error, notice, setting, COPY, suspended portal.
  bool clean() const { return clean_; }
  bool has_result() const { return !command_complete_.empty(); }
  /// A statement's description is complete: what was asked first, before any rows.
  bool has_description() const { return !parameters_.empty() && !statement_columns_.empty(); }

  const std::string& parameters() const { return parameters_; }  ///< ParameterDescription
  /// RowDescription or NoData that answered Describe of a statement.
  const std::string& statement_columns() const { return statement_columns_; }
  /// RowDescription that came with the rows (simple, or Describe of the portal); may be empty.
  const std::string& columns() const { return columns_; }
  const std::string& command_complete() const { return command_complete_; }
  std::uint64_t row_count() const { return row_count_; }
  cache::Capture take_rows() { return std::move(rows_); }

 private:
  void begin_message();
  void end_message();

  cache::Capture rows_;
  std::string header_;  // of the present message, until it is whole
  std::string body_;    // whole message, of those that are kept
  char type_ = 0;
  std::size_t left_ = 0;  // of the present message
  bool clean_ = true;
  std::string parameters_, statement_columns_, columns_, command_complete_;
  std::uint64_t row_count_ = 0;
};

/// The parts of a kept result.
struct KeptResult {
  std::uint64_t shape = 0;  ///< rows_shape(); 0: unknown
  net::Bytes columns;       ///< a RowDescription message; may be empty
};
std::string result_head(std::uint64_t shape, net::Bytes columns);
KeptResult kept_result(const cache::Entry& entry);

std::string description_head(const Shape& shape);
Shape kept_description(const cache::Entry& entry);

/// Of a RowDescription or NoData message.
std::uint64_t shape_of_columns(net::Bytes message);
std::uint64_t shape_of_parameters(net::Bytes message);

/// Whether the two suffice to answer the group: `result` for groups that answer rows, `description`
/// for those that describe a statement. `told` is what the client knows of the statement so far.
bool can_serve(const GroupShape& shape, const cache::Entry* result, const cache::Entry* description,
               const Shape& told);
/// Writes the whole answer, envelope included; returns its bytes.
std::size_t serve(net::Stream& stream, std::string& scratch, const GroupShape& shape,
                  const cache::Entry* result, const cache::Entry* description);

}  // namespace hyperdrive::proxy::session::postgres
