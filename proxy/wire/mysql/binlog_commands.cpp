#include "proxy/wire/mysql/binlog_commands.hpp"

#include <algorithm>
#include <charconv>

namespace hyperdrive::proxy::wire::mysql {

namespace {

constexpr std::size_t kUuidText = 36;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Sixteen bytes; empty if it is no uuid.
std::string uuid_bytes(std::string_view text) {
  std::string bytes;
  if (text.size() != kUuidText) return {};
  for (std::size_t i = 0; i < text.size();) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i++] != '-') return {};
      continue;
    }
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return {};
    bytes.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return bytes;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

/// The part up to `mark`, which is taken off `text` with it.
std::string_view next_part(std::string_view& text, char mark) {
  const auto at = text.find(mark);
  const std::string_view part = trimmed(text.substr(0, at));
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return part;
}

}  // namespace

std::optional<GtidSet> GtidSet::parse(std::string_view text) {
  GtidSet set;
  while (!trimmed(text).empty()) {
    std::string_view entry = next_part(text, ',');
    if (entry.empty()) continue;
    const std::string source(next_part(entry, ':'));
    if (uuid_bytes(source).empty()) return std::nullopt;
    while (!entry.empty()) {
      std::string_view range = next_part(entry, ':');
      const auto first = number(next_part(range, '-'));
      const auto last = range.empty() ? first : number(trimmed(range));
      if (!first || !last || *last < *first) return std::nullopt;
      set.insert(source, {*first, *last});
    }
  }
  return set;
}

bool GtidSet::add(std::string_view gtid) {
  const auto one = parse(gtid);
  if (!one) return false;
  for (const auto& [source, intervals] : one->sources_) {
    for (const Interval& interval : intervals) insert(source, interval);
  }
  return true;
}

void GtidSet::insert(const std::string& source, Interval interval) {
  std::string key = source;
  for (char& c : key) c = static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c);
  auto& intervals = sources_[key];
  auto at = std::find_if(intervals.begin(), intervals.end(),
                         [&](const Interval& one) { return one.last + 1 >= interval.first; });
  while (at != intervals.end() && at->first <= interval.last + 1) {
    interval.first = std::min(interval.first, at->first);
    interval.last = std::max(interval.last, at->last);
    at = intervals.erase(at);
  }
  intervals.insert(at, interval);
}

std::string GtidSet::text() const {
  std::string text;
  for (const auto& [source, intervals] : sources_) {
    text += (text.empty() ? "" : ",") + source;
    for (const Interval& interval : intervals) {
      text += ':' + std::to_string(interval.first);
      if (interval.last != interval.first) text += '-' + std::to_string(interval.last);
    }
  }
  return text;
}

std::string GtidSet::encoded() const {
  std::string bytes;
  PayloadWriter writer(bytes);
  writer.fixed(sources_.size(), 8);
  for (const auto& [source, intervals] : sources_) {
    writer.bytes(uuid_bytes(source)).fixed(intervals.size(), 8);
    // The end is the first number that is not in it.
    for (const Interval& interval : intervals) {
      writer.fixed(interval.first, 8).fixed(interval.last + 1, 8);
    }
  }
  return bytes;
}

std::string register_replica_argument(std::uint32_t id, std::string_view name) {
  std::string argument;
  PayloadWriter writer(argument);
  writer.u32(id);
  writer.u8(static_cast<std::uint8_t>(name.size())).bytes(name);
  writer.u8(0).u8(0);  // no user, no password
  writer.u16(0).u32(0).u32(0);
  return argument;
}

std::string binlog_dump_argument(std::uint32_t id, std::string_view file, std::uint32_t offset) {
  std::string argument;
  PayloadWriter(argument).u32(offset).u16(0).u32(id).bytes(file);
  return argument;
}

std::string binlog_dump_gtid_argument(std::uint32_t id, const GtidSet& known) {
  constexpr std::uint16_t kThroughGtid = 0x04;
  const std::string set = known.encoded();
  std::string argument;
  PayloadWriter writer(argument);
  writer.u16(kThroughGtid).u32(id).u32(0);  // no file name
  writer.fixed(4, 8).u32(static_cast<std::uint32_t>(set.size())).bytes(set);
  return argument;
}

}  // namespace hyperdrive::proxy::wire::mysql
