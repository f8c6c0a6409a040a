#include "proxy/session/mysql/binlog_reader.hpp"

#include <algorithm>
#include <utility>

#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
using Kind = my::BinlogEvent::Kind;

namespace {

/// The words that begin and end groups, as the server itself writes them.
bool is_word(std::string_view text, std::string_view word) {
  return text.size() == word.size() &&
         std::equal(text.begin(), text.end(), word.begin(),
                    [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; });
}

bool begins(std::string_view text, std::string_view words) {
  return is_word(text.substr(0, words.size()), words);
}

}  // namespace

BinlogReader::BinlogReader(net::Loop& loop, std::unique_ptr<net::Stream> stream,
                           my::BinlogPosition start, Events events)
    : loop_(loop),
      stream_(std::move(stream)),
      events_(std::move(events)),
      timer_(loop.timer([this] { watch(); })),
      heard_(loop.now()),
      position_(start) {
  timer_->arm(kHeartbeat);
  stream_->set_handler(this);
  stream_->resume_reading();
}

BinlogReader::~BinlogReader() { *alive_ = false; }

// --- bytes to packets
// -------------------------------------------------------------------------------

std::size_t BinlogReader::on_data(net::Bytes data) {
  const auto alive = alive_;
  heard_ = loop_.now();
  std::size_t used = 0;
  while (used < data.size()) {
    const std::size_t step = take(data.substr(used));
    if (!*alive || lost_) return data.size();
    if (step == 0) break;
    used += step;
  }
  return used;
}

/// A packet's header, or as much of its payload as is there.
std::size_t BinlogReader::take(net::Bytes data) {
  if (!in_part_) {
    if (data.size() < my::kHeaderSize) return 0;
    const my::Header header = my::read_header(data.data());
    in_part_ = true;
    left_ = header.length;
    goes_on_ = header.continues();
    if (left_ > 0) return my::kHeaderSize;
  }
  const std::size_t header = left_ == 0 ? my::kHeaderSize : 0;
  const std::size_t size = std::min(left_, data.size());
  if (kept_.size() <= kKept) kept_.append(data.substr(0, std::min(size, kKept + 1 - kept_.size())));
  left_ -= size;
  if (left_ == 0) {
    in_part_ = false;
    if (!goes_on_) packet();
  }
  return header + size;
}

void BinlogReader::packet() {
  const std::string kept = std::exchange(kept_, {});
  const auto first = kept.empty() ? my::reply::kErr : static_cast<std::uint8_t>(kept[0]);
  if (first == my::reply::kErr) {
    const auto error = my::parse_err(kept);
    return give_up(error ? std::string(error->message) : "the origin sent what is no event");
  }
  if (first != my::reply::kOk) return give_up("the origin ended the log");
  event(decoder_.decode(std::string_view(kept).substr(1)));
}

// --- events to groups
// -------------------------------------------------------------------------------

void BinlogReader::event(const my::BinlogEvent& event) {
  if (event.kind == Kind::kBroken) return give_up("the origin sent what is no event");
  advance(event);
  dispatch(event);
  if (!lost_) events_.moved();
}

void BinlogReader::dispatch(const my::BinlogEvent& event) {
  switch (event.kind) {
    case Kind::kNothing:
    case Kind::kFile:
    case Kind::kBroken:
      return;
    case Kind::kBegin:
    case Kind::kBeginAlone:
      // One that was left open has no end any more: count it as ended.
      if (in_group_ || !group_.gtid.empty()) end_group();
      // MySQL says with a BEGIN of its own whether more than one statement comes.
      in_group_ = event.gtid.empty();
      alone_ = event.kind == Kind::kBeginAlone;
      group_.gtid = event.gtid;
      return;
    case Kind::kRows: {
      sql::Name table{std::string(event.database), std::string(event.table)};
      if (std::find(tables_.begin(), tables_.end(), table) != tables_.end()) return;
      events_.rows(table);
      tables_.push_back(std::move(table));
      return;
    }
    case Kind::kQuery:
      return statement(event);
    case Kind::kLooseCommit:
      group_.commits_loosely = true;
      return end_group();
    case Kind::kCommit:
    case Kind::kXaPrepare:
      return end_group();
    case Kind::kCheckpoint:
      return events_.checkpoint(event.file);
    case Kind::kPayload:
      group_.anything = true;
      return end_group();
    case Kind::kAnything:
      group_.anything = true;
      if (!in_group_ || alone_) end_group();
      return;
    case Kind::kUnnamed:
      return give_up("a transaction of the log has no global identifier that is understood");
  }
}

void BinlogReader::advance(const my::BinlogEvent& event) {
  if (event.kind == Kind::kFile) {
    position_ = {event.file, event.offset};
    return;
  }
  const std::uint32_t end = event.header.end;
  if (end == 0 || event.header.is_artificial()) return;
  // The header has 32 bits; a file may be longer.
  constexpr std::uint64_t kWrap = 1ull << 32;
  std::uint64_t offset = (position_.offset & ~(kWrap - 1)) | end;
  if (offset + kWrap / 2 < position_.offset) offset += kWrap;
  position_.offset = std::max(position_.offset, offset);
}

void BinlogReader::statement(const my::BinlogEvent& event) {
  if (is_word(event.text, "BEGIN") || begins(event.text, "XA START ")) {
    in_group_ = true;
    return;
  }
  if (begins(event.text, "XA END ")) return;
  if (is_word(event.text, "COMMIT") || is_word(event.text, "ROLLBACK")) {
    // Not the log's own XID: an engine took part that does not commit in two phases.
    group_.commits_loosely = true;
    return end_group();
  }
  group_.statements.push_back(
      {std::string(event.database), std::string(event.text), event.sql_mode});
  if (!in_group_ || alone_) end_group();
}

void BinlogReader::end_group() {
  in_group_ = alone_ = false;
  tables_.clear();
  LoggedGroup group = std::exchange(group_, {});
  group.end = position_;
  events_.group(std::move(group));
}

// --- the end
// ----------------------------------------------------------------------------------------

void BinlogReader::on_closed(net::CloseReason) {
  const std::string why = stream_->error();
  give_up(why.empty() ? "the origin closed the connection" : why);
}

void BinlogReader::watch() {
  if (loop_.now() - heard_ >= kLostAfter) return give_up("the origin has been silent for 10 s");
  timer_->arm(kHeartbeat);
}

void BinlogReader::give_up(std::string why) {
  if (std::exchange(lost_, true)) return;
  timer_->disarm();
  stream_->pause_reading();
  // The callback may destroy this reader.
  const auto lost = std::move(events_.lost);
  lost(std::move(why));
}

}  // namespace hyperdrive::proxy::session::mysql
