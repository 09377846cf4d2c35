%% @doc Tells contexts that wait for each other from contexts that are merely busy.
%%
%% A context whose Python thread waits for a registered function is no use to anybody until that function ends. When all of them wait
%% so, and a function waits for a process that waits for a context, nothing will ever happen. What a function waits for cannot be
%% known; that nothing happens, can.
-module(py_stuck).

-export([look/1]).
-export_type([sight/0]).

-opaque sight() :: [{pid(), term()}].
%% Which call of which function each of the contexts is at. Equal ones, some time apart: they have all been at it between.

%% Where {@link py_conversation} has a conversation while a registered function runs, and only then.
-define(KEY, '$py_conversation').

%% @doc What these contexts wait for, when each of them waits for a function that waits itself.
-spec look([pid()]) -> {true, sight()} | false.
look(Contexts) ->
    look(Contexts, []).

-spec look([pid()], sight()) -> {true, sight()} | false.
look([], Seen) ->
    {true, Seen};
look([Context | Contexts], Seen) ->
    %% The status first: a dictionary may be large.
    case process_info(Context, status) =:= {status, waiting} andalso process_info(Context, dictionary) of
        {dictionary, Dictionary} ->
            case lists:keyfind(?KEY, 1, Dictionary) of
                {_, Conversation} -> look(Contexts, [{Context, Conversation} | Seen]);
                false -> false
            end;
        _ ->
            false
    end.
