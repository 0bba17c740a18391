// A board at the other end of a line: the pins of a link, driven and read bit by bit.
//
//   board FD DIVISOR SETTLE RATE SEED
//
// FD is a terminal or socket with the bytes of the host. DIVISOR are the clock cycles of a bit of a
// UART. Without it (SPI) this is the master: it sends the host's bytes in mode 0, ten cycles a
// bit, and 0x7E while the board has something to say. Each byte is lost or has a bit
// flipped with probability RATE, either way. Time stands still where neither side has done a thing
// for SETTLE cycles. When the host is gone, what was counted is printed as JSON.
//
// Where the board says whether its core is awake, the cycles that are not are counted; where the core
// has a clock of its own, that one stands still in them.

#include "Vtop.h"
#include "verilated.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <poll.h>
#include <type_traits>
#include <unistd.h>

namespace {

const uint8_t kFlag = 0x7E;
const int kHalf = 5;  // cycles of half a period of SCK

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2654435769u + 88172645463325252u) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 2685821657736338717u) >> 32;
  }
  bool happens(double rate) { return rate > 0 && next() < rate * 4294967296.0; }

 private:
  uint64_t state_;
};

// One direction of the line: its faults, and the packets that these touch.
class Line {
 public:
  Line(double rate, uint64_t seed) : rate_(rate), random_(seed) {}

  // Returns whether the byte arrives, maybe as another one.
  bool pass(uint8_t* byte) {
    const bool faulty = random_.happens(rate_);
    const bool lose = faulty && (random_.next() & 1);
    const bool flag = *byte == kFlag;
    bytes_++;
    if (flag && open_) {
      packets_++;
      touched_ += hurt_ || faulty;
    }
    hurt_ = faulty ? !(flag && open_) : (hurt_ && !flag);
    open_ = !flag;
    if (!faulty) return true;
    (lose ? lost_ : flipped_)++;
    *byte ^= 1u << (random_.next() & 7);
    return !lose;
  }

  void print(const char* name) const {
    std::printf("\"%s\": {\"bytes\": %ld, \"lost\": %ld, \"flipped\": %ld, \"packets\": %ld, "
                "\"touched\": %ld}", name, bytes_, lost_, flipped_, packets_, touched_);
  }

 private:
  double rate_;
  Random random_;
  bool open_ = false, hurt_ = false;
  long bytes_ = 0, lost_ = 0, flipped_ = 0, packets_ = 0, touched_ = 0;
};

// The host's bytes. Nothing is left to read once the host has closed its end.
class Host {
 public:
  explicit Host(int fd) : fd_(fd) {}
  bool gone() const { return gone_; }

  bool take(uint8_t* byte, bool wait) {
    if (place_ == count_) {
      pollfd asked{fd_, POLLIN, 0};
      if (poll(&asked, 1, wait ? -1 : 0) <= 0) return false;
      const ssize_t got = read(fd_, buffer_, sizeof buffer_);
      gone_ = got <= 0;
      place_ = 0;
      count_ = gone_ ? 0 : static_cast<int>(got);
      if (gone_) return false;
    }
    *byte = buffer_[place_++];
    return true;
  }

  void give(uint8_t byte) {
    while (write(fd_, &byte, 1) < 0) {
      if (errno == EINTR) continue;
      gone_ = true;
      return;
    }
  }

 private:
  int fd_, place_ = 0, count_ = 0;
  bool gone_ = false;
  uint8_t buffer_[4096];
};

template <class Top, class = void>
struct IsUart : std::false_type {};
template <class Top>
struct IsUart<Top, std::void_t<decltype(Top::rx)>> : std::true_type {};

// Whether the board has something to say; a board without a pin for that says it at tx.
template <class Top, class = void>
struct Waiting {
  static bool of(const Top&) { return false; }
};
template <class Top>
struct Waiting<Top, std::void_t<decltype(Top::waiting)>> {
  static bool of(const Top& top) { return top.waiting != 0; }
};

template <class Top, class = void>
struct Awake {
  static bool of(const Top&) { return true; }
};
template <class Top>
struct Awake<Top, std::void_t<decltype(Top::core_awake)>> {
  static bool of(const Top& top) { return top.core_awake != 0; }
};

// The clock of a core that is stopped outside, and its reset.
template <class Top, class = void>
struct Core {
  static void clock(Top*, bool) {}
  static void reset(Top*, bool) {}
};
template <class Top>
struct Core<Top, std::void_t<decltype(Top::core_clk)>> {
  static void clock(Top* top, bool level) { top->core_clk = level; }
  static void reset(Top* top, bool level) { top->core_rst = level; }
};

template <class Top>
struct Bench {
  std::unique_ptr<VerilatedContext> context{new VerilatedContext};
  std::unique_ptr<Top> top{new Top{context.get()}};
  Host host;
  Line to_board, from_board;
  long divisor, settle, cycles = 0, asleep = 0;

  Bench(int fd, long divisor, long settle, double rate, uint64_t seed)
      : host(fd), to_board(rate, 2 * seed + 1), from_board(rate, 2 * seed + 2),
        divisor(divisor), settle(settle) {}

  void tick() {
    const bool awake = Awake<Top>::of(*top);
    top->clk = 1;
    Core<Top>::clock(top.get(), awake);
    top->eval();
    top->clk = 0;
    Core<Top>::clock(top.get(), false);
    top->eval();
    cycles++;
    asleep += !awake;
  }

  void heard(uint8_t byte) {
    if (from_board.pass(&byte)) host.give(byte);
  }

  void reset() {
    top->clk = 0;
    top->rst = 1;
    Core<Top>::clock(top.get(), false);
    Core<Top>::reset(top.get(), true);
    top->eval();
    for (int k = 0; k < 4; k++) tick();
    top->rst = 0;
    Core<Top>::reset(top.get(), false);
    cycles = asleep = 0;
  }
};

template <class Top>
void drive_uart(Bench<Top>& bench) {
  Top* top = bench.top.get();
  uint32_t sent = 0, coming = 0;
  long sending = 0, next = 0, hearing = 0, sample = 0, quiet = 0;
  top->rx = 1;
  bench.reset();
  while (!bench.host.gone()) {
    if (sending == 0) {
      uint8_t byte;
      if (bench.host.take(&byte, quiet >= bench.settle) && bench.to_board.pass(&byte)) {
        sent = 0x200u | byte << 1;
        sending = 10;
        next = bench.divisor;
      }
    }
    top->rx = sending ? sent & 1 : 1;
    quiet = sending || hearing || Waiting<Top>::of(*top) ? 0 : quiet + 1;
    bench.tick();
    if (sending && --next == 0) {
      sent >>= 1;
      next = bench.divisor;
      sending--;
    }
    if (hearing && --sample == 0) {
      sample = bench.divisor;
      coming = coming >> 1 | (top->tx ? 0x200u : 0);
      if (--hearing == 0 && !(coming & 1) && (coming & 0x200u)) bench.heard(coming >> 1 & 0xFF);
    } else if (!hearing && !top->tx) {
      hearing = 10;
      sample = bench.divisor / 2;
      coming = 0;
    }
  }
}

template <class Top>
void half(Bench<Top>& bench, int sck) {
  bench.top->sck = sck;
  for (int k = 0; k < kHalf; k++) bench.tick();
}

template <class Top>
void exchange(Bench<Top>& bench, uint8_t byte) {
  uint8_t found = 0;
  for (int k = 7; k >= 0; k--) {
    bench.top->mosi = byte >> k & 1;
    half(bench, 0);
    found = found << 1 | (bench.top->miso & 1);
    half(bench, 1);
  }
  bench.top->sck = 0;
  bench.heard(found);
}

template <class Top>
void drive_spi(Bench<Top>& bench) {
  Top* top = bench.top.get();
  long quiet = 0;
  top->cs_n = 1;
  top->sck = 0;
  top->mosi = 0;
  bench.reset();
  while (!bench.host.gone()) {
    uint8_t byte;
    const bool given = bench.host.take(&byte, quiet >= bench.settle);
    if (given ? bench.to_board.pass(&byte) : Waiting<Top>::of(*top)) {
      if (top->cs_n) {
        top->cs_n = 0;
        half(bench, 0);
      }
      exchange(bench, given ? byte : kFlag);
      quiet = 0;
    } else if (!given) {
      if (!top->cs_n) {
        half(bench, 0);
        top->cs_n = 1;
      }
      bench.tick();
      quiet++;
    }
  }
}

template <class Top>
int serve(char** argv) {
  Bench<Top> bench(std::atoi(argv[1]), std::atol(argv[2]), std::atol(argv[3]), std::atof(argv[4]),
                   std::strtoull(argv[5], nullptr, 10));
  if constexpr (IsUart<Top>::value) {
    drive_uart(bench);
  } else {
    drive_spi(bench);
  }
  std::printf("{\"cycles\": %ld, \"asleep\": %ld, ", bench.cycles, bench.asleep);
  bench.to_board.print("to_board");
  std::printf(", ");
  bench.from_board.print("from_board");
  std::printf("}\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return argc == 6 ? serve<Vtop>(argv) : 2; }
