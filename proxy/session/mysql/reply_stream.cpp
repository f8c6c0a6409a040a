// Origin: the stream of replies, cut into packets; rows pass in runs, in one copy. What a packet
// means is in replies.cpp.
#include <algorithm>
#include <utility>

#include "proxy/session/mysql/client.hpp"
#include "proxy/session/mysql/origin.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;

std::size_t Origin::on_data(net::Bytes data) {
  if (parked_) {
    // Nobody has asked for anything: it says why it closes, or worse.
    broken_ = true;
    worker_->bury(worker_->pool().lost(*this));
    return data.size();
  }
  in_on_data_ = true;
  last_reply_ = worker_->loop.now();
  data_ = data;
  at_ = run_ = 0;
  first_header_ = rest_;
  while (at_ < data_.size() && !broken_ && step()) {
  }
  flush();
  worker_->telemetry.add(Counter::kBytesFromOrigin, at_);
  in_on_data_ = false;
  const std::size_t used = at_;
  data_ = {};
  if (broken_) {
    lost();
    return data.size();
  }
  if (used == data.size() && rest_ == 0) settle();
  return used;
}

/// One packet, or what there is of one; false: more bytes are needed.
bool Origin::step() {
  const std::size_t here = data_.size() - at_;
  if (rest_ > 0) {
    const std::size_t n = std::min(rest_, here);
    rest_ -= n;
    at_ += n;
    return true;
  }
  if (here < my::kHeaderSize) return false;
  header_ = my::read_header(data_.data() + at_);
  const bool expects = begun_ && phase_ != Phase::kInfile;
  if (queue_.empty()) {
    const net::Bytes payload = data_.substr(at_ + my::kHeaderSize);
    if (payload.size() == header_.length && payload.starts_with(static_cast<char>(my::reply::kErr)))
      last_words_ = payload;
    broken();
    return true;
  }
  if (expects && header_.sequence != sequence_) {
    broken();
    return true;
  }
  if (phase_ == Phase::kRows) {
    if (rows()) return true;
    return row();
  }
  if (here < header_.size()) return false;
  head();
  return true;
}

/// Passes the rows that lie whole at at_, of one packet each; false: the present packet is none.
/// Large results come through here.
bool Origin::rows() {
  const Purpose purpose = queue_.front().purpose;
  if (continued_ || eof_owed_ || purpose == Purpose::kValues || purpose == Purpose::kWarnings) {
    return false;
  }
  const char* const data = data_.data();
  const std::size_t size = data_.size();
  std::uint8_t sequence = sequence_;
  std::size_t at = at_;
  std::size_t count = 0;
  while (size - at > my::kHeaderSize) {
    const my::Header header = my::read_header(data + at);
    const auto first = static_cast<std::uint8_t>(data[at + my::kHeaderSize]);
    // EOF, ERR, an empty packet, a piece of a longer one, one out of order: row() looks closer.
    const bool is_row = first < my::reply::kEof && header.length > 0 && !header.continues() &&
                        header.sequence == sequence;
    if (!is_row || size - at < header.size()) break;
    at += header.size();
    ++sequence;
    ++count;
  }
  sequence_ = sequence;
  outcome_.rows += count;
  outcome_.bytes += at - at_;
  at_ = at;
  return count > 0;
}

void Origin::broken() { broken_ = true; }

bool Origin::forwards() const {
  return owner_ != nullptr && !queue_.empty() && queue_.front().purpose == Purpose::kCommand &&
         !queue_.front().refuses_infile;
}

bool Origin::client_has(std::uint64_t capability) const {
  return owner_ != nullptr && (owner_->capabilities() & capability) != 0;
}

// --- to the client ------------------------------------------------------------------------------

Run Origin::run() const {
  return {data_.substr(run_, at_ - run_), std::max(run_, first_header_) - run_, delta_};
}

/// What lies between run_ and at_ goes out, with the client's numbers.
void Origin::flush() {
  if (at_ > run_ && forwards()) {
    owner_->to_client(run());
    spare_client();
  }
  run_ = at_;
}

/// The present packet goes as it is; its body may still be on its way.
void Origin::pass() {
  const std::size_t here = std::min(header_.size(), data_.size() - at_);
  at_ += here;
  rest_ = header_.size() - here;
  sequence_ = static_cast<std::uint8_t>(header_.sequence + 1);
  outcome_.bytes += header_.size();
}

void Origin::drop() {
  flush();
  at_ += header_.size();
  run_ = at_;
  sequence_ = static_cast<std::uint8_t>(header_.sequence + 1);
  --delta_;
}

void Origin::replace(net::Bytes payload) {
  flush_and_emit(payload, client_sequence());
  at_ += header_.size();
  run_ = at_;
  sequence_ = static_cast<std::uint8_t>(header_.sequence + 1);
}

/// In front of the present packet.
void Origin::insert(net::Bytes payload) {
  flush_and_emit(payload, client_sequence());
  ++delta_;
}

/// What lies between run_ and at_, and one more packet behind it.
void Origin::flush_and_emit(net::Bytes payload, std::uint8_t sequence) {
  if (at_ == run_ || !forwards()) {
    flush();
    return emit(payload, sequence);
  }
  outcome_.bytes += payload.size() + my::kHeaderSize;
  owner_->to_client(run(), sequence, payload);
  run_ = at_;
  spare_client();
}

/// A client that does not read fast enough is not to be sent more.
void Origin::spare_client() {
  if (owner_->stream().unsent() <= net::Stream::kHighWater) return;
  stream_->pause_reading();
  was_paused_ = true;
}

void Origin::emit(net::Bytes payload, std::uint8_t sequence) {
  outcome_.bytes += payload.size() + my::kHeaderSize;
  if (!forwards()) return;
  owner_->packet_to_client(sequence, payload);
}

}  // namespace hyperdrive::proxy::session::mysql
