// Client: cuts what a ready session sends into commands, one at a time, and passes on what is
// larger than a command: the rest of a packet, a file.
#include <cstring>
#include <utility>

#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
using my::Command;

namespace {

/// A packet larger than this is passed on in slices, when its head is here; so is the head of an
/// EXECUTE: 65 535 parameters take 139 kB.
constexpr std::size_t kSlice = 256 * 1024;

/// Commands whose beginning is enough to know what to do with them.
bool may_be_sliced(Command command) {
  return command == Command::kStmtExecute || command == Command::kStmtSendLongData ||
         command == Command::kStmtBulkExecute;
}

}  // namespace

std::size_t Client::relay(net::Bytes data) {
  std::size_t used = 0;
  while (phase_ == Phase::kReady && block_ == Block::kNone && used < data.size()) {
    if (stream_->unsent() > net::Stream::kHighWater) {
      block(Block::kReader);
      break;
    }
    const net::Bytes rest = data.substr(used);
    if (streaming_ > 0 || continues_) {
      const std::size_t n = stream_rest(rest);
      if (n == 0) break;
      used += n;
      if (streaming_ == 0 && !continues_ && !infile_ && !late_error_.empty()) {
        packet_to_client(sequence_, std::exchange(late_error_, {}));
      }
      continue;
    }
    if (infile_) {
      const std::size_t n = stream_infile(rest);
      if (n == 0) break;
      used += n;
      continue;
    }
    if (rest.size() < my::kHeaderSize) break;
    const my::Header header = my::read_header(rest.data());
    const bool here = rest.size() >= header.size();
    if (!here) {
      const bool sliced = rest.size() > my::kHeaderSize && rest.size() >= kSlice &&
                          may_be_sliced(static_cast<Command>(static_cast<std::uint8_t>(rest[4])));
      if (!sliced) break;
    }
    if (lease_ && lease_->busy()) {
      block(Block::kReply);
      break;
    }
    const std::size_t size = here ? header.size() : rest.size();
    const Message message{header, rest.substr(0, size),
                          rest.substr(my::kHeaderSize, size - my::kHeaderSize),
                          here && !header.continues()};
    sequence_ = static_cast<std::uint8_t>(header.sequence + 1);
    rest_to_come_ = !message.is_whole;
    const Step step = command(message);
    if (step != Step::kBlocked) asked_text_ = nullptr;
    // What it wanted has come, or failed, within the call.
    if (step == Step::kBlocked && block_ == Block::kNone && phase_ == Phase::kReady) continue;
    if (step != Step::kDone) break;
    used += size;
    if (!message.is_whole && streaming_ == 0 && !continues_) {
      // Nobody took the rest: the command was answered here.
      start_streaming(message, true);
    }
  }
  if (phase_ == Phase::kGone) return data.size();
  if (phase_ != Phase::kReady) {
    stream_->resume_reading();  // as another user: what follows belongs to that login
    return used;
  }
  since_ = worker_.loop.now();
  worker_.telemetry.add(Counter::kBytesFromClients, used);
  if (lease_ && !reopening_ && block_ == Block::kNone) {
    if (lease_->stream().unsent() > net::Stream::kHighWater) {
      block(Block::kPressure);
    } else if (!lingers_ && !must_hold() && streaming_ == 0 && !continues_) {
      let_go();
    }
  }
  return used;
}

void Client::start_streaming(const Message& message, bool drops) {
  streaming_ = message.header.size() - message.whole.size();
  continues_ = message.header.continues();
  streaming_drops_ = drops;
  streaming_owes_ = !drops && lease_->busy();
}

/// The rest of a packet, and the packets that go on with it.
std::size_t Client::stream_rest(net::Bytes data) {
  std::size_t n = 0;
  if (streaming_ > 0) {
    n = std::min(streaming_, data.size());
    streaming_ -= n;
  } else {
    if (data.size() < my::kHeaderSize) return 0;
    const my::Header header = my::read_header(data.data());
    n = my::kHeaderSize;
    streaming_ = header.length;
    continues_ = header.continues();
    sequence_ = static_cast<std::uint8_t>(header.sequence + 1);
    if (!streaming_drops_ && lease_ && lease_->busy()) lease_->set_client_sequence(sequence_);
  }
  if (!streaming_drops_ && lease_) {
    lease_->write(data.substr(0, n));
    if (lease_->stream().unsent() > net::Stream::kHighWater) block(Block::kPressure);
  }
  return n;
}

void Client::infile_begins(std::uint8_t sequence) {
  infile_ = true;
  infile_continues_ = false;
  sequence_ = sequence;
  unblock(Block::kReply);
  if (!ended_) return;
  // It sends no more than it has sent.
  worker_.defer_for(*this, [this] {
    if (phase_ == Phase::kReady && infile_) leave();
  });
}

/// What is still to come of a file for which the origin is not there any more.
std::size_t Client::drop_infile(const my::Header& header, std::size_t here) {
  streaming_ = header.size() - here;
  streaming_drops_ = true;
  if (std::exchange(infile_continues_, header.continues()) || header.length > 0) return here;
  sequence_ = static_cast<std::uint8_t>(header.sequence + 1);
  send_lost();
  close_politely();
  return here;
}

/// Packets of a file, up to an empty one.
std::size_t Client::stream_infile(net::Bytes data) {
  if (data.size() < my::kHeaderSize) return 0;
  const my::Header header = my::read_header(data.data());
  const std::size_t here = std::min(header.size(), data.size());
  if (data.size() < header.size() && here < kSlice) return 0;
  if (infile_lost_) return drop_infile(header, here);
  char head[my::kHeaderSize];
  std::memcpy(head, data.data(), my::kHeaderSize);
  const std::uint8_t ahead = static_cast<std::uint8_t>(sequence_ - lease_->infile_sequence());
  head[3] = static_cast<char>(header.sequence - ahead);
  lease_->write(net::Bytes(head, my::kHeaderSize));
  lease_->write(data.substr(my::kHeaderSize, here - my::kHeaderSize));
  streaming_ = header.size() - here;
  streaming_drops_ = false;
  if (!std::exchange(infile_continues_, header.continues()) && header.length == 0) {
    infile_ = false;
    sequence_ = static_cast<std::uint8_t>(header.sequence + 1);
    lease_->infile_ended(sequence_);
  }
  if (lease_->stream().unsent() > net::Stream::kHighWater) block(Block::kPressure);
  return here;
}

}  // namespace hyperdrive::proxy::session::mysql
