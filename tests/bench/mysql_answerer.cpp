// Answers every SELECT of the MySQL protocol from memory with one row of one text of 119 bytes (as
// sysbench's point select reads it), without looking at it: the limit of a cache hit. Lets
// everybody in; what is no SELECT is OK.
//   bench_mysql_answerer       prints its port
#include <algorithm>
#include <string>

#include "listen.hpp"
#include "proxy/wire/mysql/handshake.hpp"
#include "proxy/wire/mysql/packet.hpp"
#include "proxy/wire/mysql/response.hpp"
#include "proxy/wire/mysql/statement.hpp"

namespace {

using namespace hyperdrive;
using namespace hyperdrive::proxy::net;
namespace my = hyperdrive::proxy::wire::mysql;
namespace capability = my::capability;

constexpr std::uint64_t kOffered =
    capability::kLongPassword | capability::kLongFlag | capability::kConnectWithDb |
    capability::kProtocol41 | capability::kTransactions | capability::kSecureConnection |
    capability::kMultiStatements | capability::kMultiResults | capability::kPsMultiResults |
    capability::kPluginAuth | capability::kConnectAttrs | capability::kDeprecateEof;

/// All that is ever sent, made once for each of the two ways in which rows may end.
struct Answers {
  explicit Answers(std::uint64_t capabilities) : capabilities_(capabilities) {
    my::Ok nothing;
    nothing.status = my::status::kAutocommit;
    my::append_packet(ok, 1, my::build_ok(nothing, capabilities));
    const std::string value(119, '7');
    text_rows = result_set(std::string(1, static_cast<char>(value.size())) + value);
    binary_rows = result_set(std::string(2, '\0') + static_cast<char>(value.size()) + value);
  }

  std::string ok, text_rows, binary_rows;

  std::string prepared(std::uint32_t statement, std::uint16_t parameters) const {
    my::PrepareOk told;
    told.statement = statement;
    told.parameters = parameters;
    told.columns = 1;
    std::string out;
    std::uint8_t sequence = my::append_packet(out, 1, my::build_prepare_ok(told));
    for (int i = 0; i < parameters; ++i) {
      sequence = my::append_packet(out, sequence, definition("?"));
    }
    if (parameters > 0) sequence = end_of_columns(out, sequence);
    end_of_columns(out, my::append_packet(out, sequence, definition("c")));
    return out;
  }

 private:
  bool no_eof() const { return (capabilities_ & capability::kDeprecateEof) != 0; }

  std::string definition(my::Bytes name) const {
    my::ColumnDefinition column;
    column.catalog = "def";
    column.schema = "shop";
    column.table = column.original_table = "sbtest1";
    column.name = column.original_name = name;
    column.charset = my::kUtf8mb4GeneralCi;
    column.length = 480;
    column.type = 254;
    return my::build_column_definition(column, capabilities_);
  }

  std::uint8_t end_of_columns(std::string& out, std::uint8_t sequence) const {
    if (no_eof()) return sequence;
    return my::append_packet(out, sequence, my::build_eof({0, my::status::kAutocommit}));
  }

  std::string result_set(my::Bytes row) const {
    std::string out;
    std::uint8_t sequence = my::append_packet(out, 1, "\x01");
    sequence = end_of_columns(out, my::append_packet(out, sequence, definition("c")));
    sequence = my::append_packet(out, sequence, row);
    my::Ok end;
    end.status = my::status::kAutocommit;
    my::append_packet(out, sequence,
                      no_eof() ? my::build_ok(end, capabilities_, my::reply::kEof)
                               : my::build_eof({0, end.status}));
    return out;
  }

  std::uint64_t capabilities_;
};

class Session final : public StreamHandler {
 public:
  Session(std::unique_ptr<Stream> stream, std::function<void()> on_end)
      : stream_(std::move(stream)), on_end_(std::move(on_end)) {
    stream_->set_handler(this);
    my::Greeting greeting;
    greeting.server_version = "10.11.0-answerer";
    greeting.connection_id = 1;
    greeting.capabilities = kOffered;
    greeting.charset = my::kUtf8mb4GeneralCi;
    greeting.status = my::status::kAutocommit;
    greeting.scramble.assign(my::kScrambleSize, 'x');
    greeting.plugin = my::plugin::kNativePassword;
    send(0, my::build_greeting(greeting));
  }

  std::size_t on_data(Bytes data) override {
    std::size_t used = 0;
    while (true) {
      const my::PacketRead read = my::read_packet(data.substr(used));
      if (read.status != my::ReadStatus::kOk) return used;
      used += read.header.size();
      if (answers_ != nullptr) {
        answer(read.payload);
      } else {
        log_in(read);
      }
    }
  }

  void on_closed(CloseReason) override { stream_->loop().defer(on_end_); }

 private:
  void send(std::uint8_t sequence, my::Bytes payload) {
    std::string packet;
    my::append_packet(packet, sequence, payload);
    stream_->write(packet);
  }

  void log_in(const my::PacketRead& read) {
    const auto response = my::parse_handshake_response(read.payload);
    if (!response) return stream_->finish();
    static const Answers with_eof(kOffered & ~capability::kDeprecateEof);
    static const Answers without_eof(kOffered);
    const bool no_eof = (response->capabilities & capability::kDeprecateEof) != 0;
    answers_ = no_eof ? &without_eof : &with_eof;
    my::Ok ok;
    ok.status = my::status::kAutocommit;
    send(static_cast<std::uint8_t>(read.header.sequence + 1), my::build_ok(ok, kOffered));
  }

  void answer(my::Bytes payload) {
    if (payload.empty()) return;
    switch (static_cast<my::Command>(payload[0])) {
      case my::Command::kQuery: {
        const bool selects = payload.size() > 3 && (payload[3] | 0x20) == 'l';
        return stream_->write(selects ? answers_->text_rows : answers_->ok);
      }
      case my::Command::kStmtExecute:
        return stream_->write(answers_->binary_rows);
      case my::Command::kStmtPrepare: {
        const auto parameters = std::count(payload.begin(), payload.end(), '?');
        return stream_->write(
            answers_->prepared(++statements_, static_cast<std::uint16_t>(parameters)));
      }
      case my::Command::kQuit:
        return stream_->finish();
      case my::Command::kStmtClose:
      case my::Command::kStmtSendLongData:
        return;
      default:
        return stream_->write(answers_->ok);
    }
  }

  std::unique_ptr<Stream> stream_;
  std::function<void()> on_end_;
  const Answers* answers_ = nullptr;  // set by the login
  std::uint32_t statements_ = 0;
};

}  // namespace

int main() { bench::serve<Session>(); }
