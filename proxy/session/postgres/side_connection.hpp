// A connection to the origin for the proxy's own questions (catalogs, visibility, replication), not
// for any client's.
//
// Born from a stream that has just logged in (ReadyForQuery has been read). Questions are simple
// queries; their answers are text; they are asked one after the other, in order. Belongs to one
// loop and its thread. Once lost it stays so; every open question hears of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/net/stream.hpp"

namespace hyperdrive::proxy::session::postgres {

class SideConnection final : public net::StreamHandler {
 public:
  using Row = std::span<const std::optional<std::string_view>>;
  /// `result` counts the row-returning statements of a text, from 0. Views hold during the call.
  using OnRow = std::function<void(std::size_t result, Row row)>;
  using Done = std::function<void(core::Result<void>)>;
  /// The body of one CopyData message. Of one over kMaxCopyData only the beginning is shown.
  using OnCopyData = std::function<void(std::string_view body)>;

  static constexpr std::size_t kMaxCopyData = 64 * 1024;

  /// `on_lost` is called once when the connection breaks, after all open questions were told. It
  /// may destroy the connection.
  SideConnection(std::unique_ptr<net::Stream> stream, std::function<void(std::string)> on_lost);
  ~SideConnection() override;

  /// `done` may ask again, or destroy the connection.
  void ask(std::string sql, OnRow on_row, Done done);
  /// Like ask; if the answer is CopyBothResponse, `done` hears of success at once and `on_data`
  /// gets everything from then on. No further question may follow.
  void stream(std::string command, OnCopyData on_data, Done done);
  /// Raw messages while streaming.
  void send(std::string_view messages);
  /// Says goodbye; `closed` when the origin has closed it, too. It is of no more use then, and open
  /// questions hear nothing.
  void close(std::function<void()> closed);
  bool idle() const { return questions_.empty(); }

 private:
  struct Question {
    std::string sql;
    OnRow on_row;
    OnCopyData on_data;  // streaming, if set
    Done done;
    std::optional<core::Error> error;
    std::size_t results = 0;
  };

  std::size_t on_data(net::Bytes data) override;
  void on_closed(net::CloseReason reason) override;
  std::size_t one_message(net::Bytes data);
  void message(char type, std::string_view body);
  void row(std::string_view body);
  void finish_question();
  void send_next();
  void fail_all(const std::string& why);
  void watch();

  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<net::Timer> watch_;  // while a question is open
  std::function<void(std::string)> on_lost_;
  std::deque<Question> questions_;  // the first is being asked
  OnCopyData copy_;
  std::vector<std::optional<std::string_view>> columns_;
  std::size_t skip_ = 0;  // of a message that is too long to be kept
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hyperdrive::proxy::session::postgres
