%% @doc Which functions are too slow for {@link py_batch}. Pure.
%%
%% A batch that has to be split has lost a millisecond, which a function that takes its time would lose again and again. So after each such
%% time twice as many calls of it as before get a process of their own at once, before another batch is tried.
-module(py_pace).

-export([new/0, alone/3, slow/2, quick/2]).
-export_type([pace/0]).

-opaque pace() :: #{Name :: binary() => {Left :: non_neg_integer(), Times :: pos_integer()}}.

-define(FIRST, 256).
-define(MOST, 16#10000).

-spec new() -> pace().
new() -> #{}.

%% @doc Whether so many calls are to be run in processes of their own.
-spec alone(binary(), pos_integer(), pace()) -> {boolean(), pace()}.
alone(Name, Count, Pace) ->
    case Pace of
        #{Name := {Left, Times}} when Left > 0 -> {true, Pace#{Name := {max(0, Left - Count), Times}}};
        #{} -> {false, Pace}
    end.

%% @doc A batch of that function had to be split.
-spec slow(binary(), pace()) -> pace().
slow(Name, Pace) ->
    Times =
        case Pace of
            #{Name := {_, Last}} -> min(?MOST, 2 * Last);
            #{} -> ?FIRST
        end,
    Pace#{Name => {Times, Times}}.

%% @doc A batch of that function was through in time.
-spec quick(binary(), pace()) -> pace().
quick(Name, Pace) when is_map_key(Name, Pace) -> maps:remove(Name, Pace);
quick(_Name, Pace) -> Pace.
