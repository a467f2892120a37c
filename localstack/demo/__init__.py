"""`make demo`: real orders on real servers from checkout to the doorstep, everybody beside the engine played.

`sample` tells the stories of the project's own shop, `given` those of somebody's file; `performance` plays them,
`watching` shows them while they happen, `report` says at the end whether each ended as it should. `pictures` are taken
of the pages then, with orders that are `under_way`; those of the README also of the `weeks` before.
"""
