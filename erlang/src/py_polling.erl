%% @doc How often a wait on a channel polls before it becomes a sleep. Pure, and without a clock. internal/channel/polling.go is the same for the
%% other end, and says why.
-module(py_polling).

-export([new/1, tries/1, hit/2, miss/1]).
-export_type([polling/0]).

-record(polling, {
    %% The setting: 0 is never.
    poll :: non_neg_integer(),
    %% Failures in a row, and waits that are to go without polls.
    level = 0 :: 0..6,
    skip = 0 :: 0..31,
    %% Long polls were answered: the next are to show whether short ones would be.
    trial = false :: boolean()
}).

-opaque polling() :: #polling{}.

-define(MAX_LEVEL, 6).
%% Polls after a pause go on for longer: the other end has to be woken first.
-define(LONGER, 4).

-spec new(non_neg_integer()) -> polling().
new(Poll) ->
    #polling{poll = Poll}.

%% @doc How often to look; `none' when this wait goes without, whose outcome then tells nothing.
-spec tries(polling()) -> {pos_integer() | none, polling()}.
tries(#polling{skip = Skip} = Polling) when Skip > 0 -> {none, Polling#polling{skip = Skip - 1}};
tries(#polling{poll = 0} = Polling) -> {none, Polling};
tries(#polling{poll = Poll, level = Level, trial = false} = Polling) when Level > 1 -> {?LONGER * Poll, Polling};
tries(#polling{poll = Poll} = Polling) -> {Poll, Polling}.

%% @doc Something was there at that try.
-spec hit(pos_integer(), polling()) -> polling().
hit(_Try, #polling{level = 0} = Polling) -> Polling;
hit(Try, #polling{poll = Poll} = Polling) when Try =< Poll -> Polling#polling{level = 0, trial = false};
hit(_Try, Polling) -> Polling#polling{trial = true}.

%% @doc Nothing was.
-spec miss(polling()) -> polling().
miss(#polling{level = Level} = Polling) ->
    Next = min(Level + 1, ?MAX_LEVEL),
    Polling#polling{level = Next, skip = (1 bsl (Next - 1)) - 1, trial = false}.
