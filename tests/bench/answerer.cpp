// Answers every query from memory with one row of one integer, without looking at it: the limit of
// a cache hit. Speaks just enough of the Postgres protocol for pgbench; trusts everybody.
//   bench_answerer       prints its port
#include <cstring>

#include "listen.hpp"

namespace {

using namespace hyperdrive;
using namespace hyperdrive::proxy::net;
using namespace std::string_view_literals;

constexpr auto kLogin =
    "R\0\0\0\x08\0\0\0\0"
    "S\0\0\0\x19"
    "client_encoding\0UTF8\0"
    "S\0\0\0\x18"
    "server_version\x00"
    "15.0\0"
    "Z\0\0\0\x05I"sv;
constexpr auto kParsed = "1\0\0\0\x04"sv;
constexpr auto kBound = "2\0\0\0\x04"sv;
constexpr auto kClosed = "3\0\0\0\x04"sv;
constexpr auto kParameters = "t\0\0\0\x06\0\0"sv;
constexpr auto kColumns =
    "T\0\0\0\x21\0\x01"
    "abalance\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"sv;
constexpr auto kRow =
    "D\0\0\0\x0b\0\x01\0\0\0\x01"
    "0"
    "C\0\0\0\x0d"
    "SELECT 1\0"sv;
constexpr auto kReady = "Z\0\0\0\x05I"sv;

std::uint32_t length_at(const char* bytes) {
  std::uint32_t length;
  std::memcpy(&length, bytes, sizeof length);
  return __builtin_bswap32(length);
}

class Session final : public StreamHandler {
 public:
  Session(std::unique_ptr<Stream> stream, std::function<void()> on_end)
      : stream_(std::move(stream)), on_end_(std::move(on_end)) {
    stream_->set_handler(this);
  }

  std::size_t on_data(Bytes data) override {
    std::size_t used = 0;
    while (data.size() - used >= 5) {
      const char* at = data.data() + used;
      const std::size_t size = started_ ? 1 + length_at(at + 1) : length_at(at);
      if (data.size() - used < size) break;
      if (started_) {
        answer(at);
      } else {
        start(length_at(at + 4));
      }
      used += size;
    }
    return used;
  }

  void on_closed(CloseReason) override { stream_->loop().defer(on_end_); }

 private:
  static constexpr std::uint32_t kSslRequest = 80877103;
  static constexpr std::uint32_t kGssRequest = 80877104;

  void start(std::uint32_t code) {
    if (code == kSslRequest || code == kGssRequest) return stream_->write("N");
    started_ = true;
    stream_->write(kLogin);
  }

  void answer(const char* message) {
    switch (*message) {
      case 'Q':
        stream_->write(kColumns);
        stream_->write(kRow);
        return stream_->write(kReady);
      case 'P':
        return stream_->write(kParsed);
      case 'B':
        return stream_->write(kBound);
      case 'D':
        if (message[5] == 'S') stream_->write(kParameters);
        return stream_->write(kColumns);
      case 'E':
        return stream_->write(kRow);
      case 'C':
        return stream_->write(kClosed);
      case 'S':
        return stream_->write(kReady);
      default:
        return;
    }
  }

  std::unique_ptr<Stream> stream_;
  std::function<void()> on_end_;
  bool started_ = false;
};

}  // namespace

int main() { bench::serve<Session>(); }
